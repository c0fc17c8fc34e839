// One message of the timeline. `[data-message]` with `data-id`, `data-state` (queued, direct, node, failed, kept),
// `data-receipt` (delivered, read), `data-mine`, `data-proof`, `data-via` (what brought the first copy); inside it
// `.text`, `.when` and `.state`.

import { hue } from "./avatar.js";
import { el, put, say } from "./dom.js";
import { icon } from "./icons.js";
import { parts } from "./links.js";
import { standing, wholeStanding } from "./standing.js";
import { clockTime, wholeTime } from "./times.js";

/** @typedef {Extract<import("./rows.js").Row, {kind: "message"}>} MessageRow */
/** @typedef {{again: (line: import("../timeline.js").Line) => void,
 *   discard: (line: import("../timeline.js").Line) => void, edit: (text: string) => void,
 *   details: (line: import("../timeline.js").Line) => void}} MessageActs */

/** @param {MessageRow} row what decides how the row looks but for its state's words: equal prints, equal elements */
export const printOf = ({ line, first, last, late, proof, via }) =>
  [line.state, line.reason, via, line.hlc, line.text, line.name, line.mine, first, last, late, proof === "bad"].join("\n");

/** @param {MessageRow} row what decides the words of its state; they may change while the rest stays */
export const statePrint = ({ line, receipt }) =>
  (line.mine ? `${standing(line.state, receipt)}\n${wholeStanding(line.state, receipt)}` : "");

/**
 * Says anew how a message stands, and changes nothing else of it.
 * @param {HTMLElement} element
 * @param {MessageRow} row
 */
export function renewState(element, row) {
  const state = element.querySelector(".state");
  if (!state) return;
  const { got, read } = row.receipt;
  say(state, standing(row.line.state, row.receipt));
  put(state, "title", wholeStanding(row.line.state, row.receipt));
  const delivered = got > 0 ? "delivered" : null;
  put(element, "data-receipt", read > 0 ? "read" : delivered);
}

/**
 * @param {MessageRow} row
 * @param {MessageActs} acts
 */
export function messageElement(row, acts) {
  const { line, first, last, proof, via } = row;
  const classes = ["row", line.mine ? "mine" : "theirs", first ? "first" : "", last ? "last" : ""];
  const element = el("div", {
    class: classes.filter(Boolean).join(" "),
    "data-message": true,
    "data-id": line.id,
    "data-state": line.state,
    "data-mine": line.mine,
    "data-sender": line.sender,
    "data-proof": proof === "bad" ? "bad" : null,
    "data-via": via,
  }, el("div", { class: "bubble" }, speaker(row), body(line), meta(row, acts), remedy(line, acts)));
  renewState(element, row);
  return element;
}

/** @param {MessageRow} row */
function speaker({ line, first }) {
  if (line.mine) return el("span", { class: "unseen" }, "You: ");
  const mark = line.verified || !first ? null : el("span", { class: "mark" }, "guest");
  const name = el("span", { class: "name", "data-hue": hue(line.sender) }, line.name);
  return el("div", { class: first ? "speaker" : "unseen" }, name, mark);
}

/** @param {import("../timeline.js").Line} line */
function body(line) {
  if (line.text === null) return el("p", { class: "text odd" }, "A message of a kind this page does not show yet.");
  return el("p", { class: "text", dir: "auto" }, ...parts(line.text).map(({ text, href }) =>
    href ? el("a", { href, target: "_blank", rel: "noopener noreferrer" }, text) : text));
}

/**
 * @param {MessageRow} row
 * @param {MessageActs} acts
 */
function meta({ line, ms, late, proof }, acts) {
  const clock = el("time", { datetime: new Date(ms).toISOString(), title: wholeTime(ms) }, clockTime(ms));
  const time = el("button", { type: "button", class: "when", "aria-haspopup": "dialog", onclick: () => acts.details(line) },
    clock, el("span", { class: "unseen" }, ", details"));
  const words = [];
  if (late) words.push("arrived late");
  const state = line.mine || line.state === "kept" ? el("span", { class: "state", "aria-live": "off" }) : null;
  const bad = proof === "bad" ? el("span", { class: "forged" }, icon("warn"), "signature does not match the sender") : null;
  return el("div", { class: "meta" }, bad, time, ...words.map((word) => el("span", {}, word)), state);
}

/**
 * @param {import("../timeline.js").Line} line
 * @param {MessageActs} acts
 */
function remedy(line, acts) {
  const reason = line.state === "failed" ? el("span", { class: "reason" }, icon("warn"), line.reason ?? "") : null;
  if (!line.mine || (line.state !== "failed" && line.state !== "kept")) return reason;
  const again = el("button", { type: "button", class: "link", onclick: () => acts.again(line) },
    line.state === "kept" ? "Send again" : "Try again");
  const edit = line.state === "failed" && line.text
    ? el("button", { type: "button", class: "link", onclick: () => acts.edit(line.text ?? "") }, "Edit a copy")
    : null;
  const discard = line.state === "failed"
    ? el("button", { type: "button", class: "link", onclick: () => acts.discard(line) }, "Delete")
    : null;
  return el("div", { class: "remedy" }, reason, again, edit, discard);
}
