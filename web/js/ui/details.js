// What is known of one message: where it is, who signed it, and every copy that arrived by which path. `#details`.

import { el, fill } from "./dom.js";
import { modal } from "./modal.js";
import { wholeTime } from "./times.js";

/** @typedef {{path: string, from: string, after: string}} CopyRow */
/** @typedef {{text: string, written: number, state: string, others: string, proof: string, id: string, seq: number | null, copies: CopyRow[]}} Details */

/** @type {Readonly<Record<string, string>>} */
const PROOFS = {
  good: "Signed by the sender’s key, checked here.",
  bad: "The signature does not belong to the sender.",
  guest: "From a guest: nobody can tell who it was.",
  unknown: "This browser cannot check signatures.",
};

export function detailsDialog() {
  const content = el("div", { class: "details" });
  const { dialog, open } = modal({ id: "details", title: "Message details" }, content);
  /** @param {Details} message */
  const show = (message) => {
    const { written, state, others, proof, id, seq, copies } = message;
    const facts = [["Written", wholeTime(written)], ["Now", state], ["Others", others], ["Sender", PROOFS[proof] ?? ""], ["Place in the log", seq === null ? "not there" : String(seq)], ["Id", id]];
    fill(content,
      el("dl", {}, ...facts.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
      el("h3", {}, copies.length === 1 ? "One copy arrived" : `${copies.length || "No"} copies arrived`),
      el("ol", { class: "copies" }, ...copies.map(({ path, from, after }) =>
        el("li", {}, el("strong", {}, path), ` ${from}`, el("span", { class: "figures" }, after)))));
    open();
  };
  return { dialog, show };
}
