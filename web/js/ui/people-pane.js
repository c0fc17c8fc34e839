// Who is here, how each of them is reached, and how this page reaches its node. `#people`, `#why`; `[data-rung]`
// (`data-mark`) are the paths to the node.

import { arrange, el, say } from "./dom.js";
import { icon } from "./icons.js";
import { ladderRows } from "./ladder-rows.js";
import { ownCard, personCard } from "./person-card.js";
import { strategyPicker } from "./strategy.js";
import { whyPart } from "./why.js";

/** @typedef {import("../roster.js").Person} Person */
/** @typedef {import("./why.js").Chain} Chain */

/** @type {Readonly<Record<string, string>>} */
const KEYS = {
  profile: "Your key is kept in this browser, so others can tell that it is you.",
  tab: "This browser keeps no keys here: your key lives as long as this tab.",
  guest: "You are a guest: over plain HTTP the browser gives this page no keys, so others cannot tell that it is you.",
};
const OPEN = "Open room: anyone who knows its name can read it.";

/**
 * @param {{close: () => void, rename: () => void, retry: () => void, choose: (strategy: string, forced: string | null) => void}} acts
 * @param {...Node} settings of this browser
 */
export function peoplePane(acts, ...settings) {
  const path = pathCard(acts.retry);
  const strategy = strategyPicker(acts.choose);
  const list = el("ul", { class: "cards", "aria-label": "People" });
  const key = el("p", { id: "key-note", class: "quiet" });
  const close = el("button", { type: "button", class: "plain round close-pane", "aria-label": "Close", onclick: acts.close }, icon("close"));
  const node = el("aside", { id: "people", tabindex: "-1", "aria-labelledby": "people-title" },
    el("div", { class: "pane-head" }, el("h2", { id: "people-title" }, "People and paths"), close),
    path.node, list, strategy.node,
    el("div", { class: "pane-foot" }, el("p", { class: "quiet open-note" }, icon("open"), OPEN), key, ...settings));
  const own = ownCard(acts.rename);
  const others = otherCards(acts.retry);
  /**
   * @param {{self: Person, others: readonly import("./person-card.js").PersonView[], lives: string,
   *          steps: import("../words.js").Step[], why: Chain, connected: boolean,
   *          choice: {strategy: string, forced: string | null, offered: readonly string[]}}} view
   */
  const update = (view) => {
    path.update(view);
    own.update(view.self);
    arrange(list, [own.node, ...others(view.others)]);
    strategy.update(view.choice);
    say(key, KEYS[view.lives] ?? "");
  };
  return { node, update, showWhy: path.showWhy };
}

/** @param {() => void} retry */
function pathCard(retry) {
  const rungs = ladderRows("data-rung");
  const why = whyPart({ retry, label: "Why this path to the node?", id: "why" });
  const node = el("section", { class: "card path-card", "aria-label": "Path to the node" },
    el("div", { class: "card-head" }, el("h3", {}, "This page to its node"), why.toggle), rungs.node, why.node);
  /** @param {{steps: import("../words.js").Step[], why: Chain, connected: boolean}} view */
  const update = (view) => {
    rungs.update(view.steps);
    why.update(view.why, view.why.next === "" && view.connected);
  };
  return { node, update, showWhy: why.show };
}

/** Keeps a card for each person while they are here. @param {() => void} retry */
function otherCards(retry) {
  /** @type {Map<string, ReturnType<typeof personCard>>} */
  const held = new Map();
  return (/** @type {readonly import("./person-card.js").PersonView[]} */ views) => {
    const present = new Set(views.map(({ person }) => person.peerId));
    for (const peerId of held.keys()) if (!present.has(peerId)) held.delete(peerId);
    return views.map((view) => {
      const card = held.get(view.person.peerId) ?? personCard({ retry });
      held.set(view.person.peerId, card);
      card.update(view);
      return card.node;
    });
  };
}
