// Callboard's chat page. It draws what the simulator's page API tells (`_sim/world`, `_sim/messages`, the live feed)
// and posts as the simulated people. No framework, no build step, nothing from elsewhere.

import { Composer } from "./composer.js";
import { $ } from "./dom.js";
import { draw, retryNow, threadExtras } from "./draw.js";
import { closeThread, focusSlip, fromHash, openThread, show, step } from "./go.js";
import { Sheet } from "./sheet.js";
import { connect } from "./simulator.js";
import { parts, state, teamOf } from "./state.js";

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
  m: () => { leaveThreadIfCovering(); parts.channelSheet.focus(parts.channelSheet.current); },
  n: () => { leaveThreadIfCovering(); parts.channelComposer.area.focus(); },
  u: (event) => ($("thread").contains(event.target) || stageHidden() ? parts.threadComposer : parts.channelComposer).select.focus(),
  t: () => { if (state.thread) parts.threadComposer.area.focus(); else parts.channelSheet.focus(parts.channelSheet.current); },
  "/": () => { leaveThreadIfCovering(); const { area } = parts.channelComposer; if (area.value) area.focus(); else parts.channelComposer.fill("/"); },
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
    else if (event.target === parts.channelComposer.area) parts.channelSheet.focus(null);
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

// The start.

parts.channelSheet = new Sheet($("scroll"), $("below"), "Messages", { onActivate: (key) => openThread(key), rowExtras: threadExtras });
parts.threadSheet = new Sheet($("thread-scroll"), $("thread-below"), "Thread", {
  onActivate: () => parts.threadComposer.area.focus(),
  rowExtras: (item) => ({ mark: "", replies: "", answerable: false, root: item.key === state.thread }),
});
parts.channelComposer = new Composer($("composer"), { threaded: false });
parts.threadComposer = new Composer($("thread-composer"), { threaded: true });

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
