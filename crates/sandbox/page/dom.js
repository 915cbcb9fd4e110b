// Small things that every part of the page needs: nodes, texts, times.

export const $ = (id) => document.getElementById(id);

export function element(name, children, className = "") {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** Sets a text only if it changed, so that a live region does not speak twice. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const shortTime = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const longTime = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export function setTime(node, at) {
  setText(node, at ? shortTime.format(at) : "");
  if (!at) return;
  node.dateTime = new Date(at).toISOString();
  node.title = longTime.format(at);
}

export const dayOf = (at) => day.format(at) === day.format(Date.now()) ? "Today" : day.format(at);

export const clock = (at) => new Date(at).toTimeString().slice(0, 8);
export const elapsed = (ms) => ms < 1000 ? `+${Math.round(ms)} ms` : `+${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;

/** Seconds as `0:07`. */
export function minutes(seconds) {
  const whole = Math.max(0, Math.round(Number.isFinite(seconds) ? seconds : 0));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Seconds as they are read out. */
export function spoken(seconds) {
  const whole = Math.max(1, Math.round(Number.isFinite(seconds) ? seconds : 0));
  const parts = [[Math.floor(whole / 60), "minute"], [whole % 60, "second"]].filter(([count]) => count > 0);
  return parts.map(([count, unit]) => `${count} ${unit}${count === 1 ? "" : "s"}`).join(" ");
}
