// One row of a sheet: a message, an answer only one user sees, or a failed command.

import { clock, dateOf, el, hueOf } from "./dom.js";
import { openThread } from "./go.js";
import { bodyOf, spoken } from "./mrkdwn.js";
import { nameOfUser, parts, state, teamOf, userName, userOf } from "./state.js";

const speaker = (item) => item.message.user ?? item.message.bot_id;

/** Whether `item` continues what the one before it began: the same voice, within five minutes. */
export function follows(before, item) {
  return before.kind === "message" && item.kind === "message" && speaker(before) === speaker(item)
    && authorName(before.message) === authorName(item.message)
    && dateOf(item.message.ts) - dateOf(before.message.ts) < 300000;
}

export function authorName(message, team = teamOf(state.team)) {
  return message.username || message.bot_profile?.name || nameOfUser(userOf(team, message.user)) || message.user || message.bot_id || "unknown";
}

const isBot = (message, team) => Boolean(message.bot_id) || Boolean(userOf(team, message.user)?.is_bot);

export function rowNode(item, first, extras) {
  const team = teamOf(state.team);
  const { message } = item;
  const stamp = dateOf(message.ts);
  const name = item.kind === "message" ? authorName(message, team) : nameOfUser(userOf(team, message.user)) ?? message.user;
  const row = el("article", { class: `note ${first ? "first" : ""} ${item.kind} ${extras.open ? "open" : ""} ${extras.root ? "root" : ""}`, "data-key": item.key, tabindex: "-1" });
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
    el("button", { class: "quiet", type: "button", text: "Write it again", onclick: () => parts.channelComposer.fill(item.event.typed ?? `${command} `) })));
}

/** What happened to a slash command, and what a person can do about it. */
export function commandFault(command, error) {
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
