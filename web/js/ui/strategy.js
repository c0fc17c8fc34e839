// Which paths may carry this person's messages, and the one click that forces a single one. `#strategy`, `[data-force]`.

import { el, put } from "./dom.js";

/** @type {Readonly<Record<string, string>>} */
const STRATEGIES = {
  auto: "Best path that works",
  "p2p-only": "Browser to browser only, nothing kept",
  "webrtc-stun": "Direct only",
  "relay-safe": "Never direct: hide my address",
  "websocket-only": "WebSocket only",
  "http-only": "HTTP polling only",
  "lan-only": "Local network only, between nodes",
};

const FORCED = [
  ["", "Any"], ["webrtc-stun", "Direct"], ["webrtc-turn", "Relay"], ["websocket-direct", "WebSocket"], ["http-polling", "Polling"],
];

/**
 * @param {(strategy: string, forced: string | null) => void} choose
 */
export function strategyPicker(choose) {
  const select = el("select", { id: "strategy", "aria-label": "Which paths may carry messages" });
  const buttons = FORCED.map(([rung, label]) => el("button", { type: "button", class: "chip", "data-force": rung, "aria-pressed": "false" }, label));
  const node = el("div", { class: "strategy" },
    el("label", { for: "strategy" }, "Paths for messages"), select,
    el("div", { class: "chips", role: "group", "aria-label": "Use only this path" }, ...buttons));
  const shown = { strategy: "auto", offered: "" };
  select.addEventListener("change", () => choose(select.value, null));
  for (const button of buttons) {
    button.addEventListener("click", () => choose(shown.strategy, button.getAttribute("data-force") || null));
  }
  /** @param {{strategy: string, forced: string | null, offered: readonly string[]}} view */
  const update = ({ strategy, forced, offered }) => {
    shown.strategy = strategy;
    if (shown.offered !== offered.join()) {
      shown.offered = offered.join();
      select.replaceChildren(...offered.map((name) => el("option", { value: name }, STRATEGIES[name] ?? name)));
    }
    if (select.value !== strategy) select.value = strategy;
    for (const button of buttons) put(button, "aria-pressed", String((button.getAttribute("data-force") || null) === forced));
  };
  return { node, update };
}
