// A dialog that closes by Escape, by its cross and by a click beside it, and gives the focus back.

import { el } from "./dom.js";
import { icon } from "./icons.js";

/**
 * @param {{id: string, title: string}} named
 * @param {...import("./dom.js").Child} content
 */
export function modal({ id, title }, ...content) {
  const heading = el("h2", { id: `${id}-title` }, title);
  const cross = el("button", { type: "button", class: "plain round", "aria-label": "Close" }, icon("close"));
  const card = el("div", { class: "dialog-card" }, el("div", { class: "dialog-head" }, heading, cross), ...content);
  const dialog = el("dialog", { id, "aria-labelledby": `${id}-title` }, card);
  /** @type {Element | null} */
  let opener = null;
  cross.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
  });
  const open = () => {
    if (dialog.open) return;
    opener = document.activeElement;
    dialog.showModal();
  };
  return { dialog, open, close: () => dialog.close() };
}
