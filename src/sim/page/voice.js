// What the live region says aloud.

import { $, el } from "./dom.js";
import { spoken } from "./mrkdwn.js";
import { authorName, commandFault } from "./row.js";
import { nameOfUser, state, teamOf, userOf } from "./state.js";

let voices = [], voiceTimer = 0;

export function announce(event) {
  const team = teamOf(event.team);
  const name = nameOfUser(userOf(team, event.user)) ?? event.user;
  if (event.type === "message" && event.message.user !== state.users.get(event.team)) speak(`${authorName(event.message, team)}: ${spoken(event.message.text, team)}`);
  else if (event.type === "ephemeral") speak(`Only visible to ${name}: ${spoken(event.text, team)}`);
  else if (event.type === "command_failed") speak(`${event.command} failed. ${commandFault(event.command, event.error).join(" ")}`);
}

/** Adds to the live region; a burst becomes one sentence. A `passing` remark replaces the one before it. */
export function speak(text, passing = false) {
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
