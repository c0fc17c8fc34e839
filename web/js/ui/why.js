// A chain of causes that opens under a *Why?* button: what failed, who can change it, what happens next.

import { el, fill, put, say } from "./dom.js";

/** @typedef {{title: string, points: string[], next: string}} Chain */

/**
 * @param {{retry: () => void, label: string, id?: string}} parts `label` says of what, for those who hear the button
 */
export function whyPart({ retry, label, id }) {
  const title = el("h3", {});
  const points = el("ol", {});
  const next = el("p", {});
  const again = el("button", { type: "button", class: "link", onclick: retry }, "Try now");
  const node = el("div", { class: "why", hidden: true }, title, points, el("div", {}, next, again));
  const toggle = el("button", { id, type: "button", class: "link", "aria-expanded": "false", "aria-label": label }, "Why?");
  /** @type {{why: Chain, calm: boolean} | null} */
  let latest = null;
  const tell = () => {
    if (node.hidden || !latest) return;
    const { why, calm } = latest;
    say(title, why.title);
    if (points.textContent !== why.points.join("")) fill(points, ...why.points.map((point) => el("li", {}, point)));
    say(next, why.next);
    put(again, "hidden", calm);
  };
  const show = (/** @type {boolean} */ open) => {
    put(node, "hidden", !open);
    put(toggle, "aria-expanded", String(open));
    tell();
  };
  toggle.addEventListener("click", () => show(Boolean(node.hidden)));
  /** @param {Chain} why @param {boolean} calm whether there is nothing to try again */
  const update = (why, calm) => {
    latest = { why, calm };
    tell();
  };
  return { node, toggle, show, update };
}
