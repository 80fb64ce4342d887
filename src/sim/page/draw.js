// Drawing everything that is not a row: lists, headings, the state of the connection, the thread.

import { $, clock, dateOf, el, keyed, plural } from "./dom.js";
import { goChannel, goTeam } from "./go.js";
import { connect, live, load, reread } from "./simulator.js";
import { channelOf, here, inThread, parts, state, teamOf } from "./state.js";

let drawing = false;

/** Draws soon, once for all that happened; at once when asked, for callers that then move the focus. */
export function draw(now = false) {
  if (now) { drawAll(); return; }
  if (drawing) return;
  drawing = true;
  const run = () => { drawing = false; drawAll(); };
  if (document.hidden) setTimeout(run, 100); else requestAnimationFrame(run);
}

function drawAll() {
  const team = teamOf(state.team), channel = channelOf(team, state.channel), room = here();
  state.worldMark = state.teams.length ? `${state.team}:${team?.users.length}` : "";
  if (room) room.unread = 0;
  drawBoard(team);
  drawHead(team, channel);
  drawLink();
  $("app").classList.toggle("with-thread", Boolean(state.thread));
  parts.channelSheet.draw(room ? room.top.map((key) => room.items.get(key)) : [], room?.key, emptyNode(room, channel));
  parts.channelComposer.draw(room?.key ?? "", channel ? `Message #${channel.name}, or / for a command` : "Message", team, channel);
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

export function retryNow() {
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
  parts.threadSheet.draw(root ? [root, ...answers] : answers, `${room.key}/${state.thread}`, el("div", { class: "empty" }, el("p", { text: "This message is gone." })));
  parts.threadComposer.draw(`${room.key}/${state.thread}`, "Answer in this thread", team, channel);
}

/** What a channel's row says about its thread. */
export function threadExtras(item) {
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
