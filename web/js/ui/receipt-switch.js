// The wish to tell others what was received and read. `#receipts`.

import { el, put, say } from "./dom.js";

/**
 * @param {boolean} on
 * @param {(on: boolean) => void} keep
 */
export function receiptSwitch(on, keep) {
  const box = el("input", { id: "receipts", type: "checkbox", checked: on });
  box.addEventListener("change", () => keep(box.checked));
  const note = el("span", { class: "quiet" });
  const node = el("label", { class: "switch" }, box, el("span", {}, "Tell others what I have received and read"), note);
  /** @param {boolean} offered whether the node takes receipts */
  const update = (offered) => {
    put(box, "disabled", !offered);
    say(note, offered ? "" : "Receipts are switched off at this node.");
  };
  return { node, update };
}
