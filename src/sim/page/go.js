// Going to a workspace, a channel, a thread.

import { $ } from "./dom.js";
import { draw } from "./draw.js";
import { load, rereading } from "./simulator.js";
import { channelOf, clearRoom, here, inThread, isHere, parts, people, state, teamOf, userOf } from "./state.js";
import { speak } from "./voice.js";

const MOST_ROOMS = 6; // channels whose messages stay in memory

export function fromHash() {
  const [team, channel] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  return [team, channel];
}

/** Opens a workspace and a channel of it; where either is unknown, the last one used or the first. */
export function show(teamId, channelId, { quiet = false } = {}) {
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
    if (changed) { parts.channelSheet.toEnd(); forgetOldRooms(); }
    if (!room.loaded && !room.loading && !rereading) load(room);
  }
  if (changed && !quiet) speak(`${team.name}, channel ${channel?.name ?? "none"}`);
  draw(true);
}

function forgetOldRooms() {
  const loaded = [...state.rooms.values()].filter((room) => room.loaded && !isHere(room)).sort((a, b) => b.visited - a.visited);
  for (const room of loaded.slice(MOST_ROOMS)) clearRoom(room);
}

export function step(list, current, by) {
  const at = list.findIndex((entry) => entry.id === current);
  return list[(at + by + list.length) % list.length];
}

export function openThread(ts, focus = true) {
  const item = here()?.items.get(ts);
  if (!item || item.kind !== "message") return;
  state.thread = inThread(item.message) ? item.message.thread_ts : ts;
  here().fresh.delete(state.thread);
  parts.threadSheet.toEnd();
  draw(true);
  if (focus) parts.threadComposer.area.focus();
}

export function closeThread() {
  const root = state.thread;
  if (!root) return;
  state.thread = null;
  draw(true);
  parts.channelSheet.focus(root);
}

export function goTeam(id, byMouse) {
  show(id, null);
  if (byMouse) parts.channelComposer.area.focus(); else focusSlip("channels");
}

export function goChannel(id) {
  show(state.team, id);
  parts.channelComposer.area.focus();
}

/** Puts the focus on the current entry of `teams` or `channels`. */
export function focusSlip(list) {
  const button = $(list).querySelector("[aria-current=true]") ?? $(list).querySelector("button");
  button?.focus();
}
