// The rows of a ladder: each rung with its name, what it is doing, and its live figures.

import { arrange, el, put, say } from "./dom.js";

/** @type {Readonly<Record<string, string>>} */
const MARKS = { active: "in use", standby: "standby", trying: "not open yet", down: "not open", never: "not for a page" };

/**
 * A list that shows steps and changes only what differs.
 * @param {string} attribute carries the name of each rung
 */
export function ladderRows(attribute) {
  const node = el("ul", { class: "rungs" });
  /** @type {Map<string, {row: HTMLElement, label: HTMLElement, figures: HTMLElement, mark: HTMLElement}>} */
  const held = new Map();
  /** @param {import("../words.js").Step[]} steps */
  const update = (steps) => arrange(node, steps.map((step) => rungRow(held, attribute, step)));
  return { node, update };
}

/**
 * @param {Map<string, {row: HTMLElement, label: HTMLElement, figures: HTMLElement, mark: HTMLElement}>} held
 * @param {string} attribute
 * @param {import("../words.js").Step} step
 */
function rungRow(held, attribute, { name, label, mark, figures }) {
  let parts = held.get(name);
  if (!parts) {
    const [text, words, numbers] = [el("span", { class: "label" }), el("span", { class: "unseen" }), el("span", { class: "figures" })];
    const row = el("li", { [attribute]: name }, el("span", { class: "dot", "aria-hidden": "true" }), text, words, numbers);
    parts = { row, label: text, mark: words, figures: numbers };
    held.set(name, parts);
  }
  put(parts.row, "data-mark", mark);
  say(parts.label, label);
  say(parts.mark, `, ${MARKS[mark] ?? mark}, `);
  say(parts.figures, figures);
  put(parts.figures, "title", figures);
  return parts.row;
}
