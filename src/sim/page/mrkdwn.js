// Slack's mrkdwn and Block Kit as nodes, and typed text as Slack's own clients send it.
// Text only ever becomes text nodes; no markup is parsed from it.

import { el } from "./dom.js";
import { channelOf, userName } from "./state.js";

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
export function spoken(text, team) {
  const box = document.createElement("div");
  box.append(mrkdwn(String(text ?? "").slice(0, 400), team));
  return box.textContent.slice(0, 240);
}

/** What a person typed, as Slack's own clients send it: `&`, `<`, `>` escaped, names, channels and addresses marked. */
export function encode(typed, team) {
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

// Block Kit, as far as a reader needs it.

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

export function bodyOf(message, team) {
  const out = document.createDocumentFragment();
  const blocks = Array.isArray(message.blocks) ? message.blocks : [];
  if (blocks.some((block) => block?.type !== "rich_text")) out.append(...blocks.map((block) => blockNode(block, team)));
  else out.append(mrkdwn(message.text, team));
  for (const part of Array.isArray(message.attachments) ? message.attachments : []) {
    out.append(el("div", { class: "attachment" }, mrkdwn(part.text ?? part.fallback ?? "", team)));
  }
  return out;
}
