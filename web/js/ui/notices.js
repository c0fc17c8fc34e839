// Short words that pass: said once to a screen reader, shown for a few seconds. `#notices`.

import { el } from "./dom.js";

const SHOWN_MS = 4_000;

export function notices() {
  const node = el("div", { id: "notices", role: "status" });
  const notice = (/** @type {string} */ text) => {
    const line = el("p", {}, text);
    node.replaceChildren(line);
    setTimeout(() => line.remove(), SHOWN_MS);
  };
  return { node, notice };
}
