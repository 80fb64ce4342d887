// A sheet: a list of messages with a bounded number of rows.

import { dateOf, dayName, el, lowerBound, place, plural } from "./dom.js";
import { draw } from "./draw.js";
import { follows, rowNode } from "./row.js";
import { state } from "./state.js";

const PAGE_ROWS = 500; // rows shown at first, and by which the window moves
const MOST_ROWS = 1000; // rows in the document at any time, per sheet

/** Draws a list of items with a bounded number of rows, follows its end, and lets the arrow keys walk it. */
export class Sheet {
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
      const extras = this.rowExtras(item);
      const first = dayStarts || before.extras.root || !follows(before.item, item);
      const mark = `${item.rev}|${first}|${extras.mark}|${state.worldMark}`;
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
      before = { item, day, extras };
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
