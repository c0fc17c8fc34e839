// Who is here, and how this page reaches its node. `#people`, `[data-peer]`, `[data-rung]` (`data-mark`), `#why`,
// `#change-name`.

import { avatar } from "./avatar.js";
import { arrange, el, fill, put, say } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {import("../roster.js").Person} Person */

/** @type {Readonly<Record<string, string>>} */
const MARKS = { active: "in use", standby: "standby", trying: "not open yet", down: "not open", never: "not for a page" };

/** @type {Readonly<Record<string, string>>} */
const KEYS = {
  profile: "Your key is kept in this browser, so others can tell that it is you.",
  tab: "This browser keeps no keys here: your key lives as long as this tab.",
  guest: "You are a guest: over plain HTTP the browser gives this page no keys, so others cannot tell that it is you.",
};
const OPEN = "Open room: anyone who knows its name can read it.";

/**
 * @param {{close: () => void, rename: () => void, retry: () => void}} acts
 * @param {...Node} settings of this browser
 */
export function peoplePane(acts, ...settings) {
  const path = pathCard(acts.retry);
  const list = el("ul", { class: "cards", "aria-label": "People" });
  const key = el("p", { id: "key-note", class: "quiet" });
  const close = el("button", { type: "button", class: "plain round close-pane", "aria-label": "Close", onclick: acts.close }, icon("close"));
  const node = el("aside", { id: "people", tabindex: "-1", "aria-labelledby": "people-title" },
    el("div", { class: "pane-head" }, el("h2", { id: "people-title" }, "People and paths"), close),
    path.node, list,
    el("div", { class: "pane-foot" }, el("p", { class: "quiet open-note" }, icon("open"), OPEN), key, ...settings));
  const cards = personCards(acts.rename);
  /**
   * @param {{people: readonly Person[], self: string, lives: string, steps: import("../words.js").Step[],
   *          why: {title: string, points: string[], next: string}, connected: boolean}} view
   */
  const update = (view) => {
    path.update(view);
    arrange(list, cards(view.people, view.self));
    say(key, KEYS[view.lives] ?? "");
  };
  return { node, update, showWhy: path.showWhy };
}

/** @param {() => void} retry */
function pathCard(retry) {
  const rungs = el("ul", { class: "rungs" });
  const title = el("h3", {});
  const points = el("ol", {});
  const next = el("p", {});
  const again = el("button", { type: "button", class: "link", onclick: retry }, "Try now");
  const detail = el("div", { class: "why", hidden: true }, title, points, el("div", {}, next, again));
  const toggle = el("button", { id: "why", type: "button", class: "link", "aria-expanded": "false" }, "Why?");
  /** @type {{why: {title: string, points: string[], next: string}, connected: boolean} | null} */
  let latest = null;
  const tell = () => {
    if (detail.hidden || !latest) return;
    const { why, connected } = latest;
    say(title, why.title);
    if (points.textContent !== why.points.join("")) fill(points, ...why.points.map((point) => el("li", {}, point)));
    say(next, why.next);
    put(again, "hidden", why.next === "" && connected);
  };
  const showWhy = (/** @type {boolean} */ open) => {
    put(detail, "hidden", !open);
    put(toggle, "aria-expanded", String(open));
    tell();
  };
  toggle.addEventListener("click", () => showWhy(Boolean(detail.hidden)));
  const node = el("section", { class: "card path-card", "aria-label": "Path to the node" },
    el("div", { class: "card-head" }, el("h3", {}, "This page to its node"), toggle), rungs, detail);
  /** @type {Map<string, {row: HTMLElement, label: HTMLElement, figures: HTMLElement, mark: HTMLElement}>} */
  const held = new Map();
  /** @param {{steps: import("../words.js").Step[], why: {title: string, points: string[], next: string}, connected: boolean}} view */
  const update = (view) => {
    latest = view;
    arrange(rungs, view.steps.map((step) => rungRow(held, step)));
    tell();
  };
  return { node, update, showWhy };
}

/**
 * @param {Map<string, {row: HTMLElement, label: HTMLElement, figures: HTMLElement, mark: HTMLElement}>} held
 * @param {import("../words.js").Step} step
 */
function rungRow(held, { name, label, mark, figures }) {
  let parts = held.get(name);
  if (!parts) {
    const [text, words, numbers] = [el("span", { class: "label" }), el("span", { class: "unseen" }), el("span", { class: "figures" })];
    const row = el("li", { "data-rung": name }, el("span", { class: "dot", "aria-hidden": "true" }), text, words, numbers);
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

/** @param {() => void} rename */
function personCards(rename) {
  /** @type {Map<string, {print: string, node: HTMLElement}>} */
  const held = new Map();
  return (/** @type {readonly Person[]} */ people, /** @type {string} */ self) => {
    const names = people.map(({ name }) => name);
    return people.map((person) => {
      const twin = names.indexOf(person.name) !== names.lastIndexOf(person.name);
      const print = JSON.stringify([person, person.peerId === self, twin]);
      const known = held.get(person.peerId);
      if (known?.print === print) return known.node;
      const node = personCard(person, person.peerId === self ? rename : null, twin);
      held.set(person.peerId, { print, node });
      return node;
    });
  };
}

/**
 * @param {Person} person
 * @param {(() => void) | null} rename only for oneself
 * @param {boolean} twin whether somebody else here has the same name
 */
function personCard({ peerId, name, verified, sessions }, rename, twin) {
  const mark = verified
    ? el("span", { class: "mark verified", title: `Key ${peerId}` }, icon("check"), "verified")
    : el("span", { class: "mark" }, "guest");
  const facts = [rename ? " · you" : " · through the node"];
  if (sessions.length > 1) facts.push(` · ${sessions.length} tabs`);
  if (twin && verified) facts.push(` · key ${peerId.slice(0, 6)}…`);
  const change = rename
    ? el("button", { id: "change-name", type: "button", class: "plain round", "aria-label": "Change your name", title: "Change your name", onclick: rename }, icon("pencil"))
    : null;
  return el("li", { class: "card person", "data-peer": peerId, "data-verified": String(verified), "data-self": rename !== null },
    avatar(peerId, name),
    el("div", { class: "who" }, el("p", {}, el("strong", {}, name)), el("p", { class: "quiet" }, mark, ...facts)),
    change);
}
