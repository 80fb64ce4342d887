// What is known: workspaces, apps, and the messages of the channels that were opened.

import { insertSorted, removeSorted } from "./dom.js";

const MOST_KEPT = 20000; // messages of one channel kept in memory; older ones come back when it is opened again

export const state = {
  teams: [], apps: [], team: null, channel: null, thread: null,
  link: "connecting", // connecting | live | lost
  users: new Map(), // team id -> the user one posts as
  lastChannel: new Map(), // team id -> the channel last open there
  rooms: new Map(), // "team/channel" -> room
  fault: "", // why the lists could not be read
  worldMark: "", // changes when the names of users may have changed, so that rows showing them are drawn again
};

/** The two lists of messages and the two boxes to write in; made at the start by page.js. */
export const parts = { channelSheet: null, threadSheet: null, channelComposer: null, threadComposer: null };

export const teamOf = (id) => state.teams.find((team) => team.id === id);
export const channelOf = (team, id) => team?.channels.find((channel) => channel.id === id);
export const userOf = (team, id) => team?.users.find((user) => user.id === id);
export const nameOfUser = (user) => user?.real_name || user?.name;
export const userName = (team, id) => userOf(team, id)?.name ?? id;
export const people = (team) => team?.users.filter((user) => !user.is_bot) ?? [];

/** A channel's messages: all by key, the keys of the channel itself, and those of each thread, all in order. */
export function roomOf(team, channel) {
  const key = `${team}/${channel}`;
  let room = state.rooms.get(key);
  if (!room) {
    room = { key, team, channel, loaded: false, loading: 0, again: false, queue: [], fault: "", items: new Map(), top: [],
      threads: new Map(), fresh: new Set(), unread: 0, latest: "", visited: 0 };
    state.rooms.set(key, room);
  }
  return room;
}

export const here = () => (state.team && state.channel ? roomOf(state.team, state.channel) : null);
export const isHere = (room) => room.team === state.team && room.channel === state.channel;
export const inThread = (message) => Boolean(message.thread_ts) && message.thread_ts !== message.ts;

export function fileItem(room, item) {
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

export const fileMessage = (room, message) => {
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

export function trimRoom(room) {
  if (room.top.length <= MOST_KEPT) return;
  for (const key of room.top.splice(0, MOST_KEPT / 4)) {
    for (const answer of room.threads.get(key) ?? []) room.items.delete(answer);
    room.threads.delete(key);
    room.items.delete(key);
  }
}

export function clearRoom(room) {
  room.items.clear(); room.top = []; room.threads.clear(); room.loaded = false; room.queue = [];
}

/** Applies one live event to its channel. Returns whether it was a message not seen before. */
export function applyTo(room, event) {
  switch (event.type) {
    case "message": case "message_changed": return fileMessage(room, event.message) && event.type === "message";
    case "message_deleted": dropItem(room, event.ts); return false;
    case "ephemeral": fileNote(room, "ephemeral", event); return false;
    case "command_failed": fileNote(room, "failed", event); return false;
    default: return false;
  }
}
