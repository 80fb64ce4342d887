// Small tools: elements, sorted keys, times.

export const $ = (id) => document.getElementById(id);

/** An element with attributes (`on…` are listeners, `class` and `text` as they say) and children. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "text") node.textContent = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Makes `nodes` the children of `box`, moving as little as possible, so that focus and scrolling survive. */
export function place(box, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...box.childNodes]) if (!wanted.has(child)) child.remove();
  let at = box.firstChild;
  for (const node of nodes) {
    if (node === at) at = at.nextSibling;
    else box.insertBefore(node, at);
  }
}

/** One element per entry, kept from call to call by key. */
export function keyed(box, list, keyOf, make, update) {
  const old = box.kept ?? new Map();
  box.kept = new Map();
  place(box, list.map((entry) => {
    const key = keyOf(entry);
    const node = old.get(key) ?? make(entry);
    box.kept.set(key, node);
    update(node, entry);
    return node;
  }));
}

/** The first index in the sorted `keys` that is not below `key`. */
export function lowerBound(keys, key) {
  let from = 0, to = keys.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (keys[middle] < key) from = middle + 1; else to = middle;
  }
  return from;
}

export function insertSorted(keys, key) {
  if (!keys.length || keys[keys.length - 1] < key) { keys.push(key); return; }
  const at = lowerBound(keys, key);
  if (keys[at] !== key) keys.splice(at, 0, key);
}

export function removeSorted(keys, key) {
  const at = lowerBound(keys, key);
  if (keys[at] === key) keys.splice(at, 1);
}

/** A `ts` as a local time; it stays a string everywhere else. */
export const dateOf = (ts) => new Date(Number(String(ts).split(".")[0]) * 1000);
export const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export function dayName(date) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86400000);
  return days === 0 ? "Today" : days === 1 ? "Yesterday" : calendar.format(date);
}

export const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

export function hueOf(name) {
  let sum = 0;
  for (const letter of String(name)) sum = (sum * 31 + letter.codePointAt(0)) % 9973;
  return `hue${sum % 6}`;
}
