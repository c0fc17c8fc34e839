// A round mark with a person's initials in the colour that is always theirs.

import { hueOf, initials } from "../names.js";
import { el } from "./dom.js";

/** How many colours the style sheet has. */
const HUES = 8;

/** @param {string} peerId */
export const hue = (peerId) => hueOf(peerId, HUES);

/**
 * @param {string} peerId
 * @param {string} name
 */
export const avatar = (peerId, name) =>
  el("span", { class: "avatar", "data-hue": hue(peerId), "aria-hidden": "true" }, initials(name));
