// One person and how this page reaches them. `[data-peer]`, `data-verified`, `data-self`, `data-path` (the rung in
// use), `[data-step]` (`data-mark`).

import { avatar } from "./avatar.js";
import { el, fill, put, say } from "./dom.js";
import { icon } from "./icons.js";
import { ladderRows } from "./ladder-rows.js";
import { whyPart } from "./why.js";

/** @typedef {import("../roster.js").Person} Person */

/**
 * @typedef {object} PersonView
 * @property {Person} person
 * @property {boolean} twin whether somebody else here has the same name
 * @property {import("../peer-words.js").Path} path
 * @property {import("../words.js").Step[]} steps
 * @property {import("./why.js").Chain} why
 */

/** The card of this page's own person. @param {() => void} rename */
export function ownCard(rename) {
  const face = el("div", { class: "face" });
  const [name, mark] = [el("strong", {}), el("span", {})];
  const change = el("button", { id: "change-name", type: "button", class: "plain round", "aria-label": "Change your name", title: "Change your name", onclick: rename }, icon("pencil"));
  const node = el("li", { class: "card person", "data-self": true },
    el("div", { class: "person-head" }, face, el("div", { class: "who" }, el("p", {}, name), el("p", { class: "quiet" }, mark)), change));
  let print = "";
  /** @param {Person} person */
  const update = (person) => {
    const next = JSON.stringify(person);
    if (next === print) return;
    print = next;
    fill(face, avatar(person.peerId, person.name));
    say(name, person.name);
    identify(node, person);
    fill(mark, keyMark(person), ` · you${tabs(person)}`);
  };
  return { node, update };
}

/** The card of somebody else. @param {{retry: () => void}} acts */
export function personCard({ retry }) {
  const face = el("div", { class: "face" });
  const [name, mark, path] = [el("strong", {}), el("span", { class: "quiet" }), el("p", { class: "quiet path-words" })];
  const why = whyPart({ retry, label: "Why this path?" });
  const rows = ladderRows("data-step");
  const node = el("li", { class: "card person", "data-self": false },
    el("div", { class: "person-head" }, face, el("div", { class: "who" }, el("p", {}, name, " ", mark), path), why.toggle),
    rows.node, why.node);
  let print = "";
  /** @param {PersonView} view */
  const update = (view) => {
    const { person, twin } = view;
    const next = JSON.stringify([person, twin]);
    if (next !== print) {
      print = next;
      fill(face, avatar(person.peerId, person.name));
      say(name, person.name);
      identify(node, person);
      const key = twin && person.verified ? ` · key ${person.peerId.slice(0, 6)}…` : "";
      fill(mark, keyMark(person), tabs(person) + key);
      put(why.toggle, "aria-label", `Why this path to ${person.name}?`);
    }
    put(node, "data-path", view.path.rung);
    say(path, view.path.figure ? `${view.path.text} · ${view.path.figure}` : view.path.text);
    rows.update(view.steps);
    why.update(view.why, view.path.rung === "webrtc-stun");
  };
  return { node, update };
}

/**
 * @param {HTMLElement} node
 * @param {Person} person
 */
function identify(node, { peerId, verified }) {
  put(node, "data-peer", peerId);
  put(node, "data-verified", String(verified));
}

/** @param {Person} person */
const keyMark = ({ verified, peerId }) => verified
  ? el("span", { class: "mark verified", title: `Key ${peerId}` }, icon("check"), "verified")
  : el("span", { class: "mark" }, "guest");

/** @param {Person} person */
const tabs = ({ sessions }) => (sessions.length > 1 ? ` · ${sessions.length} tabs` : "");
