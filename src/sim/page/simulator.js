// Talking with the simulator: requests, the live feed, and reading everything again after a gap.

import { draw } from "./draw.js";
import { fromHash, show } from "./go.js";
import { applyTo, channelOf, clearRoom, fileItem, fileMessage, here, inThread, isHere, parts, roomOf, state, teamOf, trimRoom } from "./state.js";
import { announce } from "./voice.js";

const REQUEST_MS = 15000; // the longest wait for an answer of the simulator
const RETRY_FIRST_MS = 400, RETRY_MOST_MS = 8000;
const MOST_QUEUED = 5000; // live events held while a channel is being read; more means reading it again
const MOST_SWEPT = 60; // channels read after a gap to find what was missed

class Refusal extends Error {}

const REMEDIES = {
  not_in_channel: "This user is not a member of the channel. Choose another user, or another channel.",
  channel_not_found: "The simulator does not know this channel any more. Reload the page.",
  user_not_found: "The simulator does not know this user. Choose another one.",
  no_text: "There is nothing to post yet.",
  msg_too_long: "The message is too long; Slack takes up to 40,000 characters.",
};

/** Calls the page API and returns its answer; throws a Refusal whose message can be shown to a person. */
export async function call(path, body) {
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

export const live = { socket: null, tries: 0, timer: 0, due: 0, opened: false };

export function connect() {
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
export let rereading = null;
export function reread() {
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
export async function load(room) {
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
  if (event.type === "ephemeral" || event.type === "command_failed") parts.channelComposer.settled(event);
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
