// The slim line under the header: what is wrong, and what still works. `#banner`.

import { el, put, say } from "./dom.js";

/** @type {Readonly<Record<string, string>>} */
const LABELS = { retry: "Try now", name: "Change name", why: "Details" };

/**
 * @param {(action: string) => void} act
 */
export function bannerLine(act) {
  const text = el("span", {});
  const button = el("button", { type: "button", class: "link", hidden: true });
  const node = el("div", { id: "banner", role: "status", hidden: true }, text, button);
  let action = "";
  button.addEventListener("click", () => act(action));
  /** @param {import("../words.js").Banner | null} banner */
  const update = (banner) => {
    put(node, "hidden", !banner);
    put(node, "data-tone", banner?.tone ?? null);
    say(text, banner?.text ?? "");
    action = banner?.action ?? "";
    put(button, "hidden", !action);
    say(button, LABELS[action] ?? "");
  };
  return { node, update };
}
