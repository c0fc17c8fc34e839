// The one way to bring somebody in: the room's link, to copy or to share. `#invite-dialog`, `#invite-link`, `#copy-link`.

import { copyText } from "./copy.js";
import { el, put, say } from "./dom.js";
import { modal } from "./modal.js";

const OPEN = "Anyone who has the link, or knows the room’s name, can read and write here.";
const LOCAL = "This address only works on this computer. To invite somebody else, open the page by this computer’s " +
  "network address, or give the node a public base.";

/**
 * A field with the link and a button that copies it.
 * @param {{field: string, button: string}} ids
 * @param {(text: string) => void} notice
 */
export function linkField(ids, notice) {
  const field = el("input", { id: ids.field, type: "text", readonly: true, "aria-label": "Link to this room" });
  const button = el("button", { id: ids.button, type: "button", class: "primary" }, "Copy link");
  button.addEventListener("click", async () => {
    const copied = await copyText(field.value, field);
    notice(copied ? "Link copied." : "Select the link and copy it with your keyboard.");
    if (copied) button.focus();
  });
  field.addEventListener("focus", () => field.select());
  const node = el("div", { class: "link-field" }, field, button);
  const update = (/** @type {string} */ link) => {
    if (field.value !== link) field.value = link;
  };
  return { node, update };
}

/** @param {(text: string) => void} notice */
export function inviteDialog(notice) {
  const link = linkField({ field: "invite-link", button: "copy-link" }, notice);
  const local = el("p", { class: "quiet", hidden: true }, LOCAL);
  const share = el("button", { type: "button", hidden: !("share" in navigator) }, "Share…");
  const { dialog, open } = modal({ id: "invite-dialog", title: "Invite" }, link.node, share, el("p", {}, OPEN), local);
  let shown = "";
  share.addEventListener("click", () => void navigator.share({ url: shown }).catch(() => undefined));
  /**
   * @param {string} href
   * @param {boolean} isLocal
   */
  const update = (href, isLocal) => {
    shown = href;
    link.update(href);
    put(local, "hidden", !isLocal);
    say(local, LOCAL);
  };
  return { dialog, open, update };
}
