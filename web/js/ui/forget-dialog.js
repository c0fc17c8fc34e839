// Asks before a room is forgotten in which messages wait. `#forget-dialog`, `#forget-yes`.

import { el, say } from "./dom.js";
import { modal } from "./modal.js";

/** @param {number} count */
const warning = (count) => (count === 1
  ? "One message you wrote there has not left this device. Forgetting the room deletes it."
  : `${count} messages you wrote there have not left this device. Forgetting the room deletes them.`);

/** @param {(room: string) => void} forget */
export function forgetDialog(forget) {
  let asked = "";
  const named = el("p", { class: "room-named" });
  const words = el("p", { role: "alert" });
  const no = el("button", { type: "button", onclick: () => close() }, "Keep the room");
  const yes = el("button", { id: "forget-yes", type: "button" }, "Delete and forget");
  const { dialog, open, close } = modal({ id: "forget-dialog", title: "Forget this room?" },
    el("div", { class: "stack" }, named, words, el("div", { class: "field-row" }, no, yes)));
  yes.addEventListener("click", () => {
    close();
    forget(asked);
  });
  const ask = (/** @type {string} */ room, /** @type {number} */ count) => {
    asked = room;
    say(named, room);
    say(words, warning(count));
    open();
    no.focus();
  };
  return { dialog, ask };
}
