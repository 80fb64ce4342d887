// The box to write in.

import { $, el, keyed, plural } from "./dom.js";
import { draw } from "./draw.js";
import { encode } from "./mrkdwn.js";
import { call } from "./simulator.js";
import { nameOfUser, parts, people, state, teamOf } from "./state.js";
import { speak } from "./voice.js";

let composerCount = 0;

/** A message box with the user one posts as; offers commands, people and channels while one types. */
export class Composer {
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
      (this.threaded ? parts.threadSheet : parts.channelSheet).toEnd();
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
    // The outcome may come over the live feed before this call is answered.
    const running = this.running = { ...place, command, typed: `${command} ${text}` };
    try {
      await call("_sim/command", { ...place, command, text });
    } catch (error) {
      this.running = null;
      throw error;
    }
    if (this.running !== running) return;
    const note = `${command} was handed over to its app.`;
    this.tell(note);
    // An app may acknowledge without a word; then nothing else would take this note away.
    setTimeout(() => { if (this.status.textContent === note) this.tell(""); }, 6000);
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
