// Callboard's chat page. It draws what the simulator's page API tells (`_sim/world`, `_sim/messages`, the live feed)
// and posts as the simulated people. No framework, no build step, nothing from elsewhere. Text written by people
// and bots only ever becomes text nodes; no markup is parsed from it.
"use strict";

// ---- Bounds -----------------------------------------------------------------------------------------------------

const PAGE_ROWS = 500; // rows shown at first, and by which the window moves
const MOST_ROWS = 1000; // rows in the document at any time, per sheet
const MOST_KEPT = 20000; // messages of one channel kept in memory; older ones come back when it is opened again
const MOST_ROOMS = 6; // channels whose messages stay in memory
const MOST_QUEUED = 5000; // live events held while a channel is being read; more means reading it again
const MOST_SWEPT = 60; // channels read after a gap to find what was missed
const REQUEST_MS = 15000; // the longest wait for an answer of the simulator
const RETRY_FIRST_MS = 400, RETRY_MOST_MS = 8000;

// ---- Small tools ------------------------------------------------------------------------------------------------

const $ = (id) => document.getElementById(id);

/** An element with attributes (`on…` are listeners, `class` and `text` as they say) and children. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "text") node.textContent = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Makes `nodes` the children of `box`, moving as little as possible, so that focus and scrolling survive. */
function place(box, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...box.childNodes]) if (!wanted.has(child)) child.remove();
  let at = box.firstChild;
  for (const node of nodes) {
    if (node === at) at = at.nextSibling;
    else box.insertBefore(node, at);
  }
}

/** One element per entry, kept from call to call by key. */
function keyed(box, list, keyOf, make, update) {
  const old = box.kept ?? new Map();
  box.kept = new Map();
  place(box, list.map((entry) => {
    const key = keyOf(entry);
    const node = old.get(key) ?? make(entry);
    box.kept.set(key, node);
    update(node, entry);
    return node;
  }));
}

/** The first index in the sorted `keys` that is not below `key`. */
function lowerBound(keys, key) {
  let from = 0, to = keys.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (keys[middle] < key) from = middle + 1; else to = middle;
  }
  return from;
}

function insertSorted(keys, key) {
  if (!keys.length || keys[keys.length - 1] < key) { keys.push(key); return; }
  const at = lowerBound(keys, key);
  if (keys[at] !== key) keys.splice(at, 0, key);
}

function removeSorted(keys, key) {
  const at = lowerBound(keys, key);
  if (keys[at] === key) keys.splice(at, 1);
}

/** A `ts` as a local time; it stays a string everywhere else. */
const dateOf = (ts) => new Date(Number(String(ts).split(".")[0]) * 1000);
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

function dayName(date) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86400000);
  return days === 0 ? "Today" : days === 1 ? "Yesterday" : calendar.format(date);
}

const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

function hueOf(name) {
  let sum = 0;
  for (const letter of String(name)) sum = (sum * 31 + letter.codePointAt(0)) % 9973;
  return `hue${sum % 6}`;
}

// ---- Slack's mrkdwn ---------------------------------------------------------------------------------------------

const unescape = (text) => text.replace(/&(lt|gt|amp);/g, (_, word) => ({ lt: "<", gt: ">", amp: "&" })[word]);
const MARKS = { "*": "strong", "_": "em", "~": "s" };
const wordy = (character) => character !== undefined && /[\p{L}\p{N}]/u.test(character);
const blank = (character) => character === undefined || /\s/.test(character);

/** A message's text as nodes. `team` names the workspace whose users and channels are meant. */
function mrkdwn(text, team) {
  const out = document.createDocumentFragment();
  String(text ?? "").split("```").forEach((part, index, parts) => {
    const closed = index < parts.length - 1;
    if (index % 2 && closed) {
      out.append(el("pre", { text: unescape(part.replace(/^\n/, "").replace(/\n$/, "").replace(/<([^<>|]*\|)?([^<>]*)>/g, "$2")) }));
    } else {
      let lines = (index % 2 ? "```" + part : part);
      if (index && !(index % 2)) lines = lines.replace(/^\n/, "");
      if (closed) lines = lines.replace(/\n$/, "");
      if (lines || parts.length === 1) out.append(...paragraphs(lines, team));
    }
  });
  return out;
}

function paragraphs(text, team) {
  const out = [];
  let last = null;
  for (const line of text.split("\n")) {
    const quoted = /^(?:&gt;|>) ?/.exec(line);
    const tag = quoted ? "blockquote" : "div";
    if (last?.localName !== tag) { last = el(tag); out.push(last); }
    const paragraph = el("p");
    inline(paragraph, quoted ? line.slice(quoted[0].length) : line, team, 0);
    last.append(paragraph);
  }
  return out;
}

/** One line. Linear in its length: a mark that found no end is not looked for again. */
function inline(into, text, team, depth) {
  const hopeless = new Set();
  let plain = "";
  const flush = () => { if (plain) into.append(unescape(plain)); plain = ""; };
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    let end = -1, node = null;
    if (character === "<") {
      end = text.indexOf(">", at + 1);
      if (end > at + 1) node = entity(text.slice(at + 1, end), team);
    } else if (character === "`" && !hopeless.has("`")) {
      end = text.indexOf("`", at + 1);
      if (end < 0) hopeless.add("`");
      else if (end > at + 1) node = el("code", { text: unescape(text.slice(at + 1, end)) });
    } else if (MARKS[character] && depth < 6 && !hopeless.has(character) && !wordy(text[at - 1]) && !blank(text[at + 1])) {
      end = closing(text, at, character);
      if (end < 0) hopeless.add(character);
      else if (end > at + 1) {
        node = el(MARKS[character]);
        inline(node, text.slice(at + 1, end), team, depth + 1);
      }
    }
    if (node) { flush(); into.append(node); at = end; } else plain += character;
  }
  flush();
}

function closing(text, from, mark) {
  for (let at = text.indexOf(mark, from + 1); at >= 0; at = text.indexOf(mark, at + 1)) {
    if (!blank(text[at - 1]) && !wordy(text[at + 1]) && at > from + 1) return at;
  }
  return -1;
}

/** What stands between `<` and `>`: a user, a channel, a special mention or a link. */
function entity(body, team) {
  const bar = body.indexOf("|");
  const target = bar < 0 ? body : body.slice(0, bar);
  const label = bar < 0 ? "" : unescape(body.slice(bar + 1));
  const mention = (text) => el("span", { class: "mention", text });
  if (target.startsWith("@")) return mention("@" + (label || userName(team, target.slice(1))));
  if (target.startsWith("#")) return mention("#" + (label || channelOf(team, target.slice(1))?.name || target.slice(1)));
  if (target.startsWith("!date^")) return document.createTextNode(label || target);
  if (target.startsWith("!")) return mention(label || "@" + target.slice(1).split("^")[0]);
  const url = unescape(target);
  if (!/^(https?:\/\/|mailto:|tel:)/i.test(url)) return document.createTextNode(unescape(`<${body}>`));
  return el("a", { href: url, target: "_blank", rel: "noopener noreferrer", title: label ? url : null, text: label || url.replace(/^mailto:/i, "") });
}

/** mrkdwn as one line of plain text, for the live region. */
function spoken(text, team) {
  const box = document.createElement("div");
  box.append(mrkdwn(String(text ?? "").slice(0, 400), team));
  return box.textContent.slice(0, 240);
}

/** What a person typed, as Slack's own clients send it: `&`, `<`, `>` escaped, names, channels and addresses marked. */
function encode(typed, team) {
  const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const token = /<(?:[@#!][^<>\n]{1,200}|(?:https?:\/\/|mailto:)[^<>\n]{1,2000})>|https?:\/\/[^\s<>|]*[^\s<>|.,;:!?)'"*_~]|(?<![\p{L}\p{N}])[@#][\p{L}\p{N}._-]+/gu;
  const mark = (text) => {
    let out = "", from = 0;
    for (const found of text.matchAll(token)) {
      out += escape(text.slice(from, found.index)) + marked(found[0], team, escape);
      from = found.index + found[0].length;
    }
    return out + escape(text.slice(from));
  };
  return typed.split(/(```[^]*?```|`[^`\n]+`)/).map((part, index) => (index % 2 ? escape(part) : mark(part))).join("");
}

function marked(word, team, escape) {
  if (word.startsWith("<")) return word;
  if (word.startsWith("http")) return `<${word.replace(/&/g, "&amp;")}>`;
  const name = word.slice(1).replace(/[.\-_]+$/, ""), rest = word.slice(1 + name.length);
  if (word[0] === "@") {
    if (["here", "channel", "everyone"].includes(name)) return `<!${name}>${rest}`;
    const user = team?.users.find((one) => one.name.toLowerCase() === name.toLowerCase());
    return user ? `<@${user.id}>${rest}` : escape(word);
  }
  const channel = team?.channels.find((one) => one.name === name);
  return channel ? `<#${channel.id}|${channel.name}>${rest}` : escape(word);
}

// ---- Block Kit, as far as a reader needs it ---------------------------------------------------------------------

const composed = (text, team) => (text?.type === "mrkdwn" ? mrkdwn(text.text, team) : el("p", { text: text?.text ?? "" }));

function blockNode(block, team) {
  switch (block?.type) {
    case "section": {
      const box = el("div");
      if (block.text) box.append(composed(block.text, team));
      if (block.fields) box.append(el("div", { class: "fields" }, ...block.fields.map((field) => el("div", {}, composed(field, team)))));
      if (block.accessory) box.append(elementNode(block.accessory));
      return box;
    }
    case "header": return el("h3", { text: block.text?.text ?? "" });
    case "divider": return el("hr");
    case "markdown": return el("p", { text: block.text ?? "" });
    case "context": return el("div", { class: "context" }, ...(block.elements ?? []).map((part) => (part.text ? composed(part, team) : elementNode(part))));
    case "actions": return el("div", {}, ...(block.elements ?? []).map(elementNode));
    case "image": return elementNode(block);
    default: return el("p", { class: "dim", text: `(a block of type ${block?.type ?? "unknown"}, not drawn here)` });
  }
}

function elementNode(part) {
  const label = part.text?.text ?? part.placeholder?.text ?? part.alt_text ?? part.action_id ?? "";
  const kind = String(part.type ?? "element").replace(/_/g, " ");
  return el("span", { class: "element", text: label ? `${label} · ${kind}` : kind, title: "Shown, but not usable on this page" });
}

function bodyOf(message, team) {
  const out = document.createDocumentFragment();
  const blocks = Array.isArray(message.blocks) ? message.blocks : [];
  if (blocks.some((block) => block?.type !== "rich_text")) out.append(...blocks.map((block) => blockNode(block, team)));
  else out.append(mrkdwn(message.text, team));
  for (const part of Array.isArray(message.attachments) ? message.attachments : []) {
    out.append(el("div", { class: "attachment" }, mrkdwn(part.text ?? part.fallback ?? "", team)));
  }
  return out;
}

// ---- What is known ----------------------------------------------------------------------------------------------

const state = {
  teams: [], apps: [], team: null, channel: null, thread: null,
  link: "connecting", // connecting | live | lost
  users: new Map(), // team id -> the user one posts as
  lastChannel: new Map(), // team id -> the channel last open there
  rooms: new Map(), // "team/channel" -> room
  fault: "", // why the lists could not be read
};

const teamOf = (id) => state.teams.find((team) => team.id === id);
const channelOf = (team, id) => team?.channels.find((channel) => channel.id === id);
const userOf = (team, id) => team?.users.find((user) => user.id === id);
const nameOfUser = (user) => user?.real_name || user?.name;
const userName = (team, id) => userOf(team, id)?.name ?? id;
const people = (team) => team?.users.filter((user) => !user.is_bot) ?? [];

/** A channel's messages: all by key, the keys of the channel itself, and those of each thread, all in order. */
function roomOf(team, channel) {
  const key = `${team}/${channel}`;
  let room = state.rooms.get(key);
  if (!room) {
    room = { key, team, channel, loaded: false, loading: 0, again: false, queue: [], fault: "", items: new Map(), top: [],
      threads: new Map(), fresh: new Set(), unread: 0, latest: "", visited: 0 };
    state.rooms.set(key, room);
  }
  return room;
}

const here = () => (state.team && state.channel ? roomOf(state.team, state.channel) : null);
const isHere = (room) => room.team === state.team && room.channel === state.channel;
const inThread = (message) => Boolean(message.thread_ts) && message.thread_ts !== message.ts;

function fileItem(room, item) {
  const { message } = item;
  const old = room.items.get(item.key);
  item.rev = (old?.rev ?? 0) + 1;
  room.items.set(item.key, item);
  if (inThread(message)) {
    const list = room.threads.get(message.thread_ts) ?? [];
    room.threads.set(message.thread_ts, list);
    insertSorted(list, item.key);
    if (message.subtype === "thread_broadcast") insertSorted(room.top, item.key);
  } else insertSorted(room.top, item.key);
  return !old;
}

function dropItem(room, key) {
  const item = room.items.get(key);
  if (!item) return;
  room.items.delete(key);
  removeSorted(room.top, key);
  const list = room.threads.get(item.message.thread_ts);
  if (list) removeSorted(list, key);
}

const fileMessage = (room, message) => {
  if (message.ts > room.latest) room.latest = message.ts;
  return fileItem(room, { key: message.ts, kind: "message", message });
};

let noteCount = 0;
/** Something only this page knows (an ephemeral answer, a failed command); it stands after what was there. */
function fileNote(room, kind, event) {
  noteCount += 1;
  const ts = `${Math.floor(Date.now() / 1000)}.000000`;
  const after = room.top.length ? room.top[room.top.length - 1].split("~")[0] : ts;
  const key = `${after}~${String(noteCount).padStart(8, "0")}`;
  fileItem(room, { key, kind, event, message: { ts, user: event.user, text: event.text, blocks: event.blocks, thread_ts: event.thread_ts } });
}

function trimRoom(room) {
  if (room.top.length <= MOST_KEPT) return;
  for (const key of room.top.splice(0, MOST_KEPT / 4)) {
    for (const answer of room.threads.get(key) ?? []) room.items.delete(answer);
    room.threads.delete(key);
    room.items.delete(key);
  }
}

function clearRoom(room) {
  room.items.clear(); room.top = []; room.threads.clear(); room.loaded = false; room.queue = [];
}

/** Applies one live event to its channel. Returns whether it was a message not seen before. */
function applyTo(room, event) {
  switch (event.type) {
    case "message": case "message_changed": return fileMessage(room, event.message) && event.type === "message";
    case "message_deleted": dropItem(room, event.ts); return false;
    case "ephemeral": fileNote(room, "ephemeral", event); return false;
    case "command_failed": fileNote(room, "failed", event); return false;
    default: return false;
  }
}

// ---- The simulator ----------------------------------------------------------------------------------------------

class Refusal extends Error {}

const REMEDIES = {
  not_in_channel: "This user is not a member of the channel. Choose another user, or another channel.",
  channel_not_found: "The simulator does not know this channel any more. Reload the page.",
  user_not_found: "The simulator does not know this user. Choose another one.",
  no_text: "There is nothing to post yet.",
  msg_too_long: "The message is too long; Slack takes up to 40,000 characters.",
};

/** Calls the page API and returns its answer; throws a Refusal whose message can be shown to a person. */
async function call(path, body) {
  let response, answer;
  try {
    response = await fetch(path, {
      method: body ? "POST" : "GET", cache: "no-store", signal: AbortSignal.timeout(REQUEST_MS),
      headers: body ? { "Content-Type": "application/json" } : {}, body: body && JSON.stringify(body),
    });
  } catch (error) {
    throw new Refusal(error.name === "TimeoutError"
      ? `The simulator did not answer within ${REQUEST_MS / 1000} seconds. Try again.`
      : "The simulator cannot be reached. Check that it is still running, then try again.");
  }
  try { answer = await response.json(); } catch { answer = null; }
  if (response.ok && answer?.ok) return answer;
  const word = answer?.error;
  throw new Refusal(answer?.detail || REMEDIES[word] || (word ? `The simulator refused: ${word}.` : `The simulator answered with HTTP ${response.status}.`));
}

const live = { socket: null, tries: 0, timer: 0, due: 0, opened: false };

function connect() {
  clearTimeout(live.timer);
  const url = new URL("_sim/live", document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  const socket = live.socket = new WebSocket(url);
  socket.onopen = () => {
    live.tries = 0;
    live.opened = true;
    state.link = "live";
    draw();
    reread();
  };
  socket.onmessage = (frame) => {
    let event;
    try { event = JSON.parse(frame.data); } catch { return; }
    receive(event);
  };
  socket.onclose = () => {
    if (socket !== live.socket) return;
    if (!live.opened && live.tries === 0) reread();
    state.link = "lost";
    const wait = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** live.tries) * (0.75 + Math.random() / 2);
    live.tries += 1;
    live.due = Date.now() + wait;
    live.timer = setTimeout(connect, wait);
    draw();
  };
}

/** Reads the lists again: at the start, after a gap, and when the simulator says that this page fell behind. */
let rereading = null;
function reread() {
  if (rereading) { rereading.again = true; return; }
  const run = rereading = { again: false };
  const before = new Map([...state.rooms].map(([key, room]) => [key, { latest: room.latest, unread: room.unread }]));
  const first = !state.teams.length;
  const done = () => {
    rereading = null;
    if (run.again) reread();
    draw();
  };
  call("_sim/world").then((world) => {
    setWorld(world);
    const room = here();
    return (room ? load(room) : Promise.resolve()).then(() => sweep(before, first));
  }).catch((error) => { state.fault = error.message; }).finally(done);
}

/** Looks what the channels that are not open missed, so that their unread marks stay true after a gap. */
async function sweep(before, first) {
  const rooms = state.teams.flatMap((team) => team.channels.map((channel) => roomOf(team.id, channel.id)));
  for (const room of rooms.filter((one) => !isHere(one)).slice(0, MOST_SWEPT)) {
    let messages;
    try { ({ messages } = await call(messagesPath(room))); } catch { continue; }
    if (isHere(room)) continue;
    const mark = before.get(room.key) ?? { latest: "", unread: 0 };
    const missed = first ? 0 : messages.filter((message) => message.ts > mark.latest).length;
    for (const message of messages) if (message.ts > room.latest) room.latest = message.ts;
    room.unread = Math.max(room.unread, mark.unread + missed);
    if (missed && room.loaded) clearRoom(room);
    draw();
  }
}

function setWorld(world) {
  state.teams = world.teams;
  state.apps = world.apps;
  state.fault = "";
  if (!teamOf(state.team)) { const [team, channel] = fromHash(); show(team, channel, { quiet: true }); }
  else if (!channelOf(teamOf(state.team), state.channel)) show(state.team, null, { quiet: true });
}

const messagesPath = (room) => `_sim/messages?team=${encodeURIComponent(room.team)}&channel=${encodeURIComponent(room.channel)}`;

/** Reads a channel. What arrives live meanwhile waits and is applied after it. */
async function load(room) {
  const run = room.loading = (room.loadRuns = (room.loadRuns ?? 0) + 1);
  room.queue = [];
  room.fault = "";
  draw();
  try {
    const { messages } = await call(messagesPath(room));
    if (room.loading !== run) return;
    const notes = [...room.items.values()].filter((item) => item.kind !== "message");
    const revs = room.items;
    room.items = new Map(); room.top = []; room.threads = new Map();
    for (const message of messages) {
      fileMessage(room, message);
      room.items.get(message.ts).rev += revs.get(message.ts)?.rev ?? 0;
    }
    for (const note of notes) fileItem(room, note);
    room.loaded = true;
    trimRoom(room);
  } catch (error) {
    if (room.loading !== run) return;
    room.fault = error.message;
  }
  room.loading = 0;
  const queue = room.queue;
  room.queue = [];
  for (const event of queue) applyTo(room, event);
  if (room.again) { room.again = false; load(room); }
  draw();
}

function receive(event) {
  if (event.type === "lagged") { reread(); return; }
  if (event.type === "apps") { state.apps = event.apps; draw(); return; }
  if (!event.team || !event.channel) return; // a kind of event this page does not know
  const room = roomOf(event.team, event.channel);
  if (event.type === "ephemeral" || event.type === "command_failed") channelComposer.settled(event);
  if (room.loading) {
    if (room.queue.length < MOST_QUEUED) room.queue.push(event); else room.again = true;
    if (event.type === "message" && !isHere(room)) room.unread += 1;
  } else if (room.loaded || event.type === "ephemeral" || event.type === "command_failed") {
    const fresh = applyTo(room, event);
    trimRoom(room);
    if (fresh) noteFresh(room, event.message);
    else if (!isHere(room) && event.type !== "message_changed" && event.type !== "message_deleted" && event.type !== "message") room.unread += 1;
  } else if (event.type === "message") {
    if (event.message.ts > room.latest) { room.latest = event.message.ts; room.unread += 1; }
  }
  if (isHere(room)) announce(event);
  draw();
}

function noteFresh(room, message) {
  if (!isHere(room)) { room.unread += 1; return; }
  if (inThread(message) && message.thread_ts !== state.thread) room.fresh.add(message.thread_ts);
}

// ---- Going somewhere --------------------------------------------------------------------------------------------

function fromHash() {
  const [team, channel] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  return [team, channel];
}

/** Opens a workspace and a channel of it; where either is unknown, the last one used or the first. */
function show(teamId, channelId, { quiet = false } = {}) {
  const team = teamOf(teamId) ?? state.teams[0];
  if (!team) return;
  const channel = channelOf(team, channelId) ?? channelOf(team, state.lastChannel.get(team.id)) ?? team.channels[0];
  const changed = team.id !== state.team || channel?.id !== state.channel;
  state.team = team.id;
  state.channel = channel?.id ?? null;
  if (changed) state.thread = null;
  if (!userOf(team, state.users.get(team.id)) && people(team)[0]) state.users.set(team.id, people(team)[0].id);
  if (channel) {
    state.lastChannel.set(team.id, channel.id);
    history.replaceState(null, "", `#/${encodeURIComponent(team.id)}/${encodeURIComponent(channel.id)}`);
    const room = here();
    room.unread = 0;
    room.visited = performance.now();
    if (changed) { channelSheet.toEnd(); forgetOldRooms(); }
    if (!room.loaded && !room.loading && !rereading) load(room);
  }
  if (changed && !quiet) speak(`${team.name}, channel ${channel?.name ?? "none"}`);
  draw(true);
}

function forgetOldRooms() {
  const loaded = [...state.rooms.values()].filter((room) => room.loaded && !isHere(room)).sort((a, b) => b.visited - a.visited);
  for (const room of loaded.slice(MOST_ROOMS)) clearRoom(room);
}

function step(list, current, by) {
  const at = list.findIndex((entry) => entry.id === current);
  return list[(at + by + list.length) % list.length];
}

function openThread(ts, focus = true) {
  const item = here()?.items.get(ts);
  if (!item || item.kind !== "message") return;
  state.thread = inThread(item.message) ? item.message.thread_ts : ts;
  here().fresh.delete(state.thread);
  threadSheet.toEnd();
  draw(true);
  if (focus) threadComposer.area.focus();
}

function closeThread() {
  const root = state.thread;
  if (!root) return;
  state.thread = null;
  draw(true);
  channelSheet.focus(root);
}

// ---- Sheets: a list of messages ---------------------------------------------------------------------------------

/** Draws a list of items with a bounded number of rows, follows its end, and lets the arrow keys walk it. */
class Sheet {
  constructor(scroll, below, label, { onActivate, rowExtras }) {
    Object.assign(this, { scroll, below, onActivate, rowExtras, rows: new Map(), size: PAGE_ROWS, last: null, missed: 0, follow: true, current: null });
    this.older = el("div", { class: "more", hidden: true });
    this.newer = el("div", { class: "more", hidden: true });
    this.feed = el("div", { class: "feed", role: "feed", "aria-label": label });
    scroll.append(this.older, this.feed, this.newer);
    this.older.append(el("button", { class: "quiet", type: "button", onclick: () => this.showOlder() }));
    this.newer.append(el("button", { class: "quiet", type: "button", text: "Show newer", onclick: () => this.showNewer() }), " ",
      el("button", { class: "quiet", type: "button", text: "Go to the newest", onclick: () => { this.toEnd(); draw(true); this.focus(null); } }));
    below.addEventListener("click", () => { this.toEnd(); draw(true); this.focus(null); });
    scroll.addEventListener("scroll", () => {
      this.follow = this.last === null && scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;
      if (this.follow && this.missed) { this.missed = 0; this.drawBelow(); }
    }, { passive: true });
    new ResizeObserver(() => { if (this.follow) this.bottom(); }).observe(scroll);
    this.feed.addEventListener("keydown", (event) => this.key(event));
    this.feed.addEventListener("focusin", (event) => {
      const row = event.target.closest("article");
      if (row) { this.current = row.dataset.key; this.rove(); }
    });
  }

  /** Shows the newest rows and follows them. */
  toEnd() { this.last = null; this.size = PAGE_ROWS; this.follow = true; this.missed = 0; this.current = null; }

  bottom() { this.scroll.scrollTop = this.scroll.scrollHeight; }

  /** `items` in order; `scope` changes when they are another list altogether. */
  draw(items, scope, empty) {
    const other = scope !== this.scope;
    if (other) { this.scope = scope; this.rows.clear(); this.count = items.length; }
    const grown = items.length - (this.count ?? items.length);
    this.count = items.length;
    const end = this.last === null ? items.length : Math.min(items.length, lowerBound(items.map((item) => item.key), this.last) + 1);
    // While one reads further up, rows are not taken away from above him until the hard bound is reached.
    if (this.last === null && !this.follow && grown > 0) { this.size = Math.min(MOST_ROWS, this.size + grown); this.missed += grown; }
    if (this.last === null && this.follow && !other && this.size > PAGE_ROWS && grown > 0) this.size = PAGE_ROWS;
    const start = Math.max(0, end - this.size);
    const shown = items.slice(start, end);
    this.shown = shown; this.items = items; this.start = start; this.end = end;
    this.older.hidden = start === 0;
    this.older.firstChild.textContent = `Show older (${start} more)`;
    this.newer.hidden = end === items.length;
    this.feed.setAttribute("aria-busy", "true");
    const lost = this.feed.contains(document.activeElement) ? document.activeElement.closest("article") : null;
    place(this.feed, this.nodes(shown, empty));
    this.feed.setAttribute("aria-busy", "false");
    if (lost && !lost.isConnected) this.focus(lost.dataset.key);
    this.rove();
    if (this.follow) this.bottom();
    this.drawBelow();
  }

  nodes(shown, empty) {
    const rows = new Map(), out = [];
    let before = null;
    for (const item of shown) {
      const day = dateOf(item.message.ts).toDateString();
      const dayStarts = !before || before.day !== day;
      const first = dayStarts || !follows(before.item, item);
      const extras = this.rowExtras(item);
      const mark = `${item.rev}|${first}|${extras.mark}|${worldMark}`;
      if (dayStarts) {
        const key = `day ${item.key}`;
        rows.set(key, this.rows.get(key) ?? { node: el("div", { class: "day", role: "none", text: dayName(dateOf(item.message.ts)) }) });
        out.push(rows.get(key).node);
      }
      let row = this.rows.get(item.key);
      if (row?.mark !== mark) {
        const node = rowNode(item, first, extras);
        if (row?.node.contains(document.activeElement)) {
          // Its focus goes with it; it comes back unless something else took it.
          queueMicrotask(() => { if (document.activeElement === document.body) this.focus(item.key); });
        }
        row = { node, mark };
      }
      rows.set(item.key, row);
      out.push(row.node);
      before = { item, day };
    }
    this.rows = rows;
    return out.length ? out : [empty];
  }

  rove() {
    const articles = [...this.feed.querySelectorAll("article")];
    const target = articles.find((row) => row.dataset.key === this.current) ?? articles[articles.length - 1];
    for (const row of articles) row.tabIndex = row === target ? 0 : -1;
  }

  /** Puts the focus on the row with this key, or the nearest after it, or the last. */
  focus(key) {
    const articles = [...this.feed.querySelectorAll("article")];
    const row = (key && articles.find((one) => one.dataset.key >= key)) || articles[articles.length - 1];
    if (row) { this.current = row.dataset.key; this.rove(); row.focus(); } else { this.scroll.tabIndex = -1; this.scroll.focus(); }
  }

  key(event) {
    const row = event.target.closest("article");
    if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
    const articles = [...this.feed.querySelectorAll("article")];
    const at = articles.indexOf(row);
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: articles.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      if (to < 0) { if (!this.older.hidden) this.older.firstChild.focus(); }
      else if (to >= articles.length) { if (!this.newer.hidden) this.newer.firstChild.focus(); }
      else { articles[to].focus(); articles[to].scrollIntoView({ block: "nearest" }); }
    } else if (event.target === row && (event.key === "Enter" || event.key === "t" && !event.shiftKey)) {
      event.preventDefault();
      this.onActivate(row.dataset.key);
    }
  }

  showOlder() {
    const anchor = this.shown[0]?.key;
    if (this.size < MOST_ROWS) this.size = Math.min(MOST_ROWS, this.size + PAGE_ROWS);
    else this.last = this.items[Math.max(this.size, this.end - PAGE_ROWS) - 1].key;
    this.move(anchor, "start");
  }

  showNewer() {
    const anchor = this.shown[this.shown.length - 1]?.key;
    const end = this.end + PAGE_ROWS;
    this.last = end >= this.items.length ? null : this.items[end - 1].key;
    this.move(anchor, "end");
  }

  move(anchor, block) {
    this.follow = false;
    draw(true);
    const row = this.rows.get(anchor)?.node;
    row?.scrollIntoView({ block });
    row?.focus({ preventScroll: true });
  }

  drawBelow() {
    this.below.hidden = this.missed === 0 || this.follow;
    this.below.textContent = `${plural(this.missed, "new message", "new messages")} below`;
  }
}

const speaker = (item) => item.message.user ?? item.message.bot_id;

/** Whether `item` continues what the one before it began: the same voice, within five minutes. */
function follows(before, item) {
  return before.kind === "message" && item.kind === "message" && speaker(before) === speaker(item)
    && authorName(before.message) === authorName(item.message)
    && dateOf(item.message.ts) - dateOf(before.message.ts) < 300000;
}

function authorName(message, team = teamOf(state.team)) {
  return message.username || message.bot_profile?.name || nameOfUser(userOf(team, message.user)) || message.user || message.bot_id || "unknown";
}

const isBot = (message, team) => Boolean(message.bot_id) || Boolean(userOf(team, message.user)?.is_bot);

function rowNode(item, first, extras) {
  const team = teamOf(state.team);
  const { message } = item;
  const stamp = dateOf(message.ts);
  const name = item.kind === "message" ? authorName(message, team) : nameOfUser(userOf(team, message.user)) ?? message.user;
  const row = el("article", { class: `note ${first ? "first" : ""} ${item.kind} ${extras.open ? "open" : ""}`, "data-key": item.key, tabindex: "-1" });
  row.append(el("time", { datetime: stamp.toISOString(), title: stamp.toLocaleString(), text: clock.format(stamp) }));
  const body = el("div");
  row.append(body);
  if (item.kind === "ephemeral") whisper(row, body, item, name, team);
  else if (item.kind === "failed") failure(row, body, item, name);
  else {
    row.setAttribute("aria-label", `${name}, ${clock.format(stamp)}: ${spoken(message.text, team)}${extras.replies ? ", " + extras.replies : ""}`);
    if (first) body.append(el("div", { class: `who ${hueOf(name)}` }, name, isBot(message, team) ? el("span", { class: "tag", text: "bot" }) : null));
    const said = el("div", { class: "said" }, bodyOf(message, team));
    body.append(said);
    if (message.edited) said.append(el("span", { class: "dim", text: "(edited)" }));
    if (message.reactions?.length) body.append(reactionsNode(message.reactions, team));
    if (extras.replies) body.append(el("button", { class: "replies", type: "button", tabindex: "-1", text: extras.replies, onclick: () => openThread(item.key) }));
    if (extras.answerable) row.append(el("button", { class: "quiet answer", type: "button", tabindex: "-1", text: "Answer in thread", onclick: () => openThread(item.key) }));
  }
  return row;
}

function whisper(row, body, item, name, team) {
  row.setAttribute("aria-label", `Only visible to ${name}: ${spoken(item.message.text, team)}`);
  const from = item.event.command ? ` · answer to ${item.event.command}` : "";
  body.append(el("div", { class: "said" }, el("div", { class: "eyes", text: `Only visible to ${name}${from}` }), bodyOf(item.message, team)));
}

function failure(row, body, item, name) {
  const { command, error } = item.event;
  const [what, remedy] = commandFault(command, error);
  row.setAttribute("aria-label", `${command} failed for ${name}: ${what} ${remedy}`);
  body.append(el("div", { class: "said" }, el("div", { class: "eyes", text: `${command} failed (${error}) · only visible to ${name}` }),
    el("p", { text: `${what} ${remedy}` }),
    el("button", { class: "quiet", type: "button", text: "Write it again", onclick: () => channelComposer.fill(item.event.typed ?? `${command} `) })));
}

/** What happened to a slash command, and what a person can do about it. */
function commandFault(command, error) {
  const owner = teamOf(state.team)?.commands.find((one) => one.command === command)?.app;
  const app = owner ? `The app “${owner}”` : "The app";
  const silent = state.apps.find((one) => one.name === owner || one.id === owner)?.sockets === 0;
  if (error === "dispatch_failed" || silent) {
    return [`${app} has no open connection, so ${command} could not be handed to it.`, "Start the bot, or wait until it is listed as connected under “Apps here”, then run the command again."];
  }
  if (error === "operation_timeout") {
    return [`${app} did not acknowledge ${command} within 3 seconds.`, "Let its handler answer at once and do slow work afterwards; look into the bot's log, then run the command again."];
  }
  return [`${app} could not run ${command}: ${error}.`, "Look into the bot's log, then run the command again."];
}

function reactionsNode(reactions, team) {
  return el("ul", { class: "reactions", "aria-label": "Reactions" }, ...reactions.map(({ name, users = [], count }) => {
    const who = users.map((id) => userName(team, id)).join(", ");
    return el("li", { title: who, text: `:${name}: ${count ?? users.length}` });
  }));
}

// ---- The box to write in ----------------------------------------------------------------------------------------

let composerCount = 0;

/** A message box with the user one posts as; offers commands, people and channels while one types. */
class Composer {
  constructor(host, { threaded }) {
    this.threaded = threaded;
    this.form = $("composer-template").content.cloneNode(true).firstElementChild;
    host.append(this.form);
    const part = (selector) => this.form.querySelector(selector);
    Object.assign(this, { label: part("label"), select: part("select"), hint: part(".hint"), offers: part(".offers"), area: part("textarea"),
      button: part(".send"), status: part(".state"), fault: part(".fault"), drafts: new Map(), options: [], active: -1, busy: false, shut: "" });
    composerCount += 1;
    this.id = `composer-${composerCount}`;
    this.select.id = `${this.id}-user`;
    this.label.htmlFor = this.select.id;
    this.label.textContent = threaded ? "Answer as" : "Post as";
    this.offers.id = `${this.id}-offers`;
    this.offers.setAttribute("aria-label", "Suggestions");
    this.area.id = threaded ? "write-answer" : "write";
    this.area.setAttribute("aria-controls", this.offers.id);
    this.button.textContent = threaded ? "Answer" : "Post";
    this.hint.textContent = threaded ? "Enter answers" : "Enter posts · / commands";
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
    this.area.addEventListener("input", () => { this.complain(""); this.shut = ""; this.resize(); this.offer(); });
    this.area.addEventListener("keydown", (event) => this.key(event));
    this.area.addEventListener("blur", () => this.close());
    this.select.addEventListener("change", () => { state.users.set(state.team, this.select.value); this.complain(""); draw(); });
    this.select.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); this.area.focus(); } });
  }

  /** Says where this box writes to; each place keeps its own draft. */
  draw(placeKey, label, team, channel) {
    if (placeKey !== this.place) {
      if (this.place) { if (this.area.value) this.drafts.set(this.place, this.area.value); else this.drafts.delete(this.place); }
      this.place = placeKey;
      this.area.value = this.drafts.get(placeKey) ?? "";
      this.complain(""); this.tell(""); this.close(); this.resize();
    }
    this.area.placeholder = label;
    this.area.setAttribute("aria-label", label);
    const users = people(team);
    keyed(this.select, users, (user) => user.id, (user) => el("option", { value: user.id }), (node, user) => {
      const text = `${nameOfUser(user)}${channel && !channel.members.includes(user.id) ? " (not in this channel)" : ""}`;
      if (node.textContent !== text) node.textContent = text;
    });
    const chosen = state.users.get(team?.id) ?? "";
    if (this.select.value !== chosen) this.select.value = chosen;
    this.area.disabled = !channel || !users.length;
  }

  fill(text) { this.area.value = text; this.resize(); this.area.focus(); this.offer(); }

  resize() {
    this.area.style.height = "auto";
    this.area.style.height = `${Math.min(this.area.scrollHeight + 2, 192)}px`;
  }

  tell(text) { if (this.status.textContent !== text) this.status.textContent = text; }

  complain(text) { this.fault.hidden = !text; this.fault.textContent = text; this.area.toggleAttribute("aria-invalid", Boolean(text)); }

  key(event) {
    if (event.isComposing || event.altKey || event.ctrlKey || event.metaKey) return;
    const open = !this.offers.hidden, picks = this.options.length;
    if (open && picks && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const by = event.key === "ArrowDown" ? 1 : -1;
      this.activate(this.active < 0 ? (by > 0 ? 0 : picks - 1) : (this.active + by + picks) % picks);
    } else if (open && event.key === "Escape") {
      event.preventDefault(); event.stopPropagation();
      this.shut = this.area.value;
      this.close();
    } else if (open && picks && event.key === "Tab" && !event.shiftKey) {
      event.preventDefault();
      this.take(this.options[Math.max(0, this.active)]);
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      const option = open ? this.options[this.active] : null;
      if (option && !option.whole) this.take(option); else this.submit();
    }
  }

  /** The offers that fit what stands before the caret. */
  offer() {
    const team = teamOf(state.team), text = this.area.value, caret = this.area.selectionStart;
    const before = text.slice(0, caret);
    this.tell("");
    if (this.shut === text && text) { this.close(); return; }
    if (!this.threaded && /^\/\S*$/.test(before)) { this.offerCommands(team, before, text); return; }
    const known = this.threaded ? null : team?.commands.find((one) => text.startsWith(`${one.command} `));
    if (known) this.tell(usage(known));
    const found = /(?:^|[\s(])([@#])([\p{L}\p{N}._-]*)$/u.exec(before);
    if (!found || known) { this.close(); return; }
    const [, sigil, typed] = found;
    const fits = (name) => String(name ?? "").toLowerCase().startsWith(typed.toLowerCase());
    const list = sigil === "@"
      ? team.users.filter((user) => fits(user.name) || fits(user.real_name)).map((user) => ({ name: user.name, note: user.is_bot ? "bot" : user.real_name }))
      : team.channels.filter((channel) => fits(channel.name)).map((channel) => ({ name: channel.name, note: channel.topic }));
    const from = caret - typed.length;
    this.show(list.slice(0, 8).map(({ name, note }) => ({
      parts: [el("b", { text: sigil + name }), el("span", { text: note ?? "" })], from, to: caret, text: `${name} `, whole: name === typed,
    })), typed ? 0 : -1);
  }

  offerCommands(team, before, text) {
    const list = (team?.commands ?? []).filter((one) => one.command.startsWith(before.toLowerCase()));
    const options = list.map((one) => ({
      parts: [el("b", { text: one.command }), one.usage_hint ? el("code", { text: one.usage_hint }) : null, el("span", { text: [one.description, one.app].filter(Boolean).join(" · ") })],
      from: 0, to: before.length, text: `${one.command} `, whole: one.command === text.trim(),
    }));
    const none = before === "/" ? "No app of this workspace offers a command; any can be typed and run." : `No app here offers ${before}. Enter runs it all the same.`;
    this.show(options, before === "/" ? -1 : 0, none);
  }

  show(options, active, none = "") {
    this.options = options;
    if (!options.length && !none) { this.close(); return; }
    this.offers.replaceChildren(...options.map((option, index) => el("li", {
      role: "option", id: `${this.offers.id}-${index}`, "aria-selected": "false",
      onmousedown: (event) => { event.preventDefault(); this.take(option); },
    }, ...option.parts)));
    if (!options.length) this.offers.append(el("li", { class: "none", role: "option", "aria-disabled": "true", "aria-selected": "false", text: none }));
    this.offers.hidden = false;
    this.activate(options.length ? active : -1);
    speak(options.length ? plural(options.length, "suggestion", "suggestions") : none, true);
  }

  activate(index) {
    this.active = index;
    [...this.offers.children].forEach((row, at) => { if (this.options.length) row.setAttribute("aria-selected", String(at === index)); });
    const row = index < 0 ? null : this.offers.children[index];
    if (row) { this.area.setAttribute("aria-activedescendant", row.id); row.scrollIntoView({ block: "nearest" }); }
    else this.area.removeAttribute("aria-activedescendant");
  }

  close() { this.offers.hidden = true; this.options = []; this.activate(-1); }

  take({ from, to, text }) {
    this.area.setRangeText(text, from, to, "end");
    this.close();
    this.resize();
    this.offer();
  }

  async submit() {
    const typed = this.area.value, text = typed.trim();
    if (this.busy) return;
    if (!text) { this.tell("Nothing to post yet."); this.area.focus(); return; }
    const command = /^\/(\S*)\s*([^]*)$/.exec(typed.trimEnd());
    if (command && this.threaded) {
      this.complain("Slash commands run in channels, not in threads, as in Slack. To post this as text, put a space before it.");
      return;
    }
    if (command && !command[1]) { this.complain("Write the command's name after the slash."); return; }
    const place = { team: state.team, channel: state.channel, user: this.select.value };
    this.close();
    this.complain("");
    this.busy = true;
    const where = this.place;
    const late = setTimeout(() => this.tell("Posting…"), 400);
    try {
      if (command) await this.run(place, `/${command[1]}`, command[2].trim());
      else await call("_sim/post", { ...place, text: encode(text, teamOf(place.team)), thread_ts: this.threaded ? state.thread : undefined });
      if (this.drafts.get(where) === typed) this.drafts.delete(where);
      if (this.place === where && this.area.value === typed) { this.area.value = ""; this.resize(); if (!command) this.tell(""); }
      (this.threaded ? threadSheet : channelSheet).toEnd();
    } catch (error) {
      if (this.place === where) this.complain(`${error.message} Your text is still here.`); else speak(error.message);
    } finally {
      clearTimeout(late);
      if (this.status.textContent === "Posting…") this.tell("");
      this.busy = false;
      draw();
    }
  }

  async run(place, command, text) {
    await call("_sim/command", { ...place, command, text });
    this.running = { ...place, command, typed: `${command} ${text}` };
    this.tell(`${command} was handed over; waiting for its answer…`);
  }

  /** The outcome of a command arrived: the waiting note goes, and a failed one can be written again as it was. */
  settled(event) {
    const { running } = this;
    if (!running || running.team !== event.team || running.user !== event.user || event.command && event.command !== running.command) return;
    event.typed = running.typed;
    this.running = null;
    this.tell("");
  }
}

const usage = (one) => [`${one.command} ${one.usage_hint ?? ""}`.trim(), one.description].filter(Boolean).join(": ");

// ---- Drawing ----------------------------------------------------------------------------------------------------

let drawing = false;
let worldMark = ""; // changes when names change, so that rows showing them are drawn again

/** Draws soon, once for all that happened; at once when asked, for callers that then move the focus. */
function draw(now = false) {
  if (now) { drawAll(); return; }
  if (drawing) return;
  drawing = true;
  const run = () => { drawing = false; drawAll(); };
  if (document.hidden) setTimeout(run, 100); else requestAnimationFrame(run);
}

function drawAll() {
  const team = teamOf(state.team), channel = channelOf(team, state.channel), room = here();
  worldMark = state.teams.length ? `${state.team}:${team?.users.length}` : "";
  if (room) room.unread = 0;
  drawBoard(team);
  drawHead(team, channel);
  drawLink();
  $("app").classList.toggle("with-thread", Boolean(state.thread));
  channelSheet.draw(room ? room.top.map((key) => room.items.get(key)) : [], room?.key, emptyNode(room, channel));
  channelComposer.draw(room?.key ?? "", channel ? `Message #${channel.name}, or / for a command` : "Message", team, channel);
  drawThread(room, team, channel);
}

const unreadOf = (team) => team.channels.reduce((sum, channel) => sum + (state.rooms.get(`${team.id}/${channel.id}`)?.unread ?? 0), 0);

function slip(id, sigil, onclick) {
  const button = el("button", { type: "button", "data-id": id, onclick }, sigil ? el("span", { class: "sigil", "aria-hidden": "true", text: sigil }) : null,
    el("span", { class: "name" }), el("span", { class: "count", hidden: true }));
  return el("li", {}, button);
}

function drawSlip(node, name, unread, current) {
  const button = node.firstChild, count = button.lastChild;
  button.querySelector(".name").textContent = name;
  button.title = name;
  if (current) button.setAttribute("aria-current", "true"); else button.removeAttribute("aria-current");
  button.tabIndex = current ? 0 : -1;
  button.classList.toggle("unread", unread > 0);
  count.hidden = unread === 0;
  count.textContent = unread > 99 ? "99+" : String(unread);
  count.setAttribute("aria-label", plural(unread, "unread message", "unread messages"));
}

function drawBoard(team) {
  keyed($("teams"), state.teams, (one) => one.id, (one) => slip(one.id, "", (event) => goTeam(one.id, event.detail > 0)),
    (node, one) => drawSlip(node, one.name, unreadOf(one), one.id === state.team));
  keyed($("channels"), team?.channels ?? [], (one) => `${team.id}/${one.id}`, (one) => slip(one.id, "#", () => goChannel(one.id)),
    (node, one) => drawSlip(node, one.name, state.rooms.get(`${team.id}/${one.id}`)?.unread ?? 0, one.id === state.channel));
  const apps = state.apps.filter((app) => app.teams.includes(state.team));
  keyed($("apps"), apps.length || !team ? apps : [null], (app) => app?.id ?? app?.name ?? "none",
    (app) => (app ? el("li", {}, el("span", { class: "lamp", "aria-hidden": "true" }), el("span"), el("small")) : el("li", { class: "none", text: "No app is installed." })),
    (node, app) => {
      if (!app) return;
      const sockets = typeof app.sockets === "number" ? app.sockets : 0;
      node.classList.toggle("off", sockets === 0);
      node.children[1].textContent = app.name;
      node.children[2].textContent = `${app.transport === "rtm" ? "RTM" : "Socket Mode"} · ${sockets ? plural(sockets, "socket", "sockets") : "not connected"}`;
    });
}

function drawHead(team, channel) {
  $("channel-name").textContent = channel ? `#${channel.name}` : team?.name ?? "Callboard";
  $("channel-topic").textContent = channel ? [team.name, plural(channel.members.length, "member", "members"), channel.topic].filter(Boolean).join(" · ") : "";
  const total = state.teams.reduce((sum, one) => sum + unreadOf(one), 0);
  document.title = `${total ? `(${total}) ` : ""}${channel ? `#${channel.name} · ${team.name} · ` : ""}Callboard`;
}

function drawLink() {
  const words = { live: "Live", connecting: "Connecting…", lost: "Reconnecting…" };
  const link = $("link"), banner = $("banner");
  if (link.textContent !== words[state.link]) link.textContent = words[state.link];
  link.classList.toggle("off", state.link !== "live");
  document.body.dataset.link = state.link;
  const text = state.link === "lost" ? `${live.opened ? "The connection to the simulator was lost" : "The simulator cannot be reached"}. Reconnecting by itself; what is shown may be out of date.` : state.fault;
  banner.hidden = !text;
  if (text && banner.firstChild?.textContent !== text) {
    banner.replaceChildren(el("span", { text }), el("button", { class: "quiet", type: "button", text: "Try now", onclick: retryNow }));
  }
}

function retryNow() {
  if (state.link === "live") { reread(); return; }
  const old = live.socket;
  live.socket = null;
  old?.close();
  live.tries = 0;
  connect();
}

function emptyNode(room, channel) {
  if (room?.fault && !room.top.length) {
    return el("div", { class: "empty" }, el("b", { text: "This channel could not be read." }), el("p", { text: room.fault }),
      el("button", { class: "quiet", type: "button", text: "Try again", onclick: () => load(room) }));
  }
  if (!room || !room.loaded) return el("div", { class: "empty" }, el("p", { text: state.fault || room?.loading || !state.teams.length ? "Reading the callboard…" : "" }));
  return el("div", { class: "empty" }, el("b", { text: "Nothing is posted here yet." }), el("p", { text: `Write the first message of #${channel?.name ?? ""} below.` }));
}

function drawThread(room, team, channel) {
  const panel = $("thread"), open = Boolean(state.thread && room);
  panel.hidden = !open;
  if (!open) return;
  $("thread-where").textContent = `#${channel?.name ?? ""} · ${team?.name ?? ""}`;
  const root = room.items.get(state.thread);
  const answers = (room.threads.get(state.thread) ?? []).map((key) => room.items.get(key));
  threadSheet.draw(root ? [root, ...answers] : answers, `${room.key}/${state.thread}`, el("div", { class: "empty" }, el("p", { text: "This message is gone." })));
  threadComposer.draw(`${room.key}/${state.thread}`, "Answer in this thread", team, channel);
}

/** What a channel's row says about its thread. */
function threadExtras(item) {
  if (item.kind !== "message") return { mark: "", replies: "", answerable: false };
  const room = here(), { message } = item;
  if (inThread(message)) return { mark: "broadcast", replies: "also sent to the channel", answerable: true };
  const answers = room?.threads.get(message.ts) ?? [];
  const count = Math.max(answers.length, answers.length ? 0 : message.reply_count ?? 0);
  const latest = answers.length ? room.items.get(answers[answers.length - 1]).message.ts : message.latest_reply;
  const fresh = room?.fresh.has(message.ts);
  const replies = count ? `${plural(count, "answer", "answers")}${latest ? ` · last at ${clock.format(dateOf(latest))}` : ""}${fresh ? " · new" : ""}` : "";
  const open = state.thread === message.ts;
  return { mark: `${replies}|${open}`, replies, open, answerable: true };
}

// ---- Said aloud -------------------------------------------------------------------------------------------------

let voices = [], voiceTimer = 0;

function announce(event) {
  const team = teamOf(event.team);
  const name = nameOfUser(userOf(team, event.user)) ?? event.user;
  if (event.type === "message" && event.message.user !== state.users.get(event.team)) speak(`${authorName(event.message, team)}: ${spoken(event.message.text, team)}`);
  else if (event.type === "ephemeral") speak(`Only visible to ${name}: ${spoken(event.text, team)}`);
  else if (event.type === "command_failed") speak(`${event.command} failed. ${commandFault(event.command, event.error).join(" ")}`);
}

/** Adds to the live region; a burst becomes one sentence. A `passing` remark replaces the one before it. */
function speak(text, passing = false) {
  if (passing) voices = voices.filter((one) => !one.passing);
  voices.push({ text, passing });
  clearTimeout(voiceTimer);
  voiceTimer = setTimeout(() => {
    const lines = voices.length > 4 ? [`${voices.length} new messages`] : voices.map((one) => one.text);
    voices = [];
    const log = $("say");
    log.append(...lines.map((line) => el("p", { text: line })));
    while (log.childElementCount > 12) log.firstChild.remove();
  }, 300);
}

// ---- Keyboard ---------------------------------------------------------------------------------------------------

function goTeam(id, byMouse) {
  show(id, null);
  if (byMouse) channelComposer.area.focus(); else focusSlip("channels");
}

function goChannel(id) {
  show(state.team, id);
  channelComposer.area.focus();
}

function focusSlip(list) {
  const button = $(list).querySelector("[aria-current=true]") ?? $(list).querySelector("button");
  button?.focus();
}

/** Up, down, Home and End walk the buttons of a list; only one of them is in the tab order. */
function walk(list) {
  list.addEventListener("keydown", (event) => {
    const buttons = [...list.querySelectorAll("button")], at = buttons.indexOf(event.target);
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (at < 0 || to === undefined || event.altKey) return;
    event.preventDefault();
    buttons[(to + buttons.length) % buttons.length]?.focus();
  });
}

const stageHidden = () => getComputedStyle(document.querySelector(".stage")).display === "none";

const LETTERS = {
  w: () => focusSlip("teams"),
  c: () => focusSlip("channels"),
  m: () => { leaveThreadIfCovering(); channelSheet.focus(channelSheet.current); },
  n: () => { leaveThreadIfCovering(); channelComposer.area.focus(); },
  u: (event) => ($("thread").contains(event.target) || stageHidden() ? threadComposer : channelComposer).select.focus(),
  t: () => { if (state.thread) threadComposer.area.focus(); else channelSheet.focus(channelSheet.current); },
  "/": () => { leaveThreadIfCovering(); const { area } = channelComposer; if (area.value) area.focus(); else channelComposer.fill("/"); },
  "?": () => $("help").showModal(),
};

function leaveThreadIfCovering() { if (stageHidden()) closeThread(); }

let singleKeys = true;

function onKey(event) {
  if (event.defaultPrevented || $("help").open || event.isComposing) return;
  const typing = event.target.matches?.("textarea, input, select");
  if (event.altKey && !event.ctrlKey && !event.metaKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    if (event.target.matches?.("select") && !event.shiftKey) return; // opens the list of users
    event.preventDefault();
    const by = event.key === "ArrowUp" ? -1 : 1, team = teamOf(state.team);
    if (event.shiftKey && state.teams.length) show(step(state.teams, state.team, by).id, null);
    else if (team?.channels.length) show(team.id, step(team.channels, state.channel, by).id);
    return;
  }
  if (event.key === "Escape") {
    if ($("thread").contains(event.target)) closeThread();
    else if (event.target === channelComposer.area) channelSheet.focus(null);
    else return;
    event.preventDefault();
    return;
  }
  if (typing || event.altKey || event.ctrlKey || event.metaKey || !singleKeys) return;
  const action = LETTERS[event.key];
  if (action) { event.preventDefault(); action(event); }
}

function remember(key, value) { try { localStorage.setItem(key, value); } catch { /* private windows may refuse */ } }
function recall(key) { try { return localStorage.getItem(key); } catch { return null; } }

// ---- Start ------------------------------------------------------------------------------------------------------

const channelSheet = new Sheet($("scroll"), $("below"), "Messages", { onActivate: (key) => openThread(key), rowExtras: threadExtras });
const threadSheet = new Sheet($("thread-scroll"), $("thread-below"), "Thread", {
  onActivate: () => threadComposer.area.focus(), rowExtras: () => ({ mark: "", replies: "", answerable: false }),
});
const channelComposer = new Composer($("composer"), { threaded: false });
const threadComposer = new Composer($("thread-composer"), { threaded: true });

walk($("teams"));
walk($("channels"));
document.addEventListener("keydown", onKey);
$("help-open").addEventListener("click", () => $("help").showModal());
$("thread-close").addEventListener("click", closeThread);
singleKeys = recall("callboard.singleKeys") !== "off";
$("single").checked = singleKeys;
$("single").addEventListener("change", (event) => { singleKeys = event.target.checked; remember("callboard.singleKeys", singleKeys ? "on" : "off"); });
window.addEventListener("online", () => { if (state.link !== "live") retryNow(); });
window.addEventListener("hashchange", () => {
  const [team, channel] = fromHash();
  if (teamOf(team) && (team !== state.team || channel !== state.channel)) show(team, channel);
});
draw();
connect();
