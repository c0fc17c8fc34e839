// The start page: a name, one button that makes a room, and a field to join one. `#name`, `#create`, `#room-name`,
// `#join`, `#home-problem`. Forgetting a room is in forget-dialog.js.

import { cleanName, nameProblem, roomFrom, roomProblem } from "../names.js";
import { el, fill, put, say } from "./dom.js";
import { forgetDialog } from "./forget-dialog.js";
import { icon } from "./icons.js";

/**
 * @typedef {object} HomeActs
 * @property {string} name
 * @property {readonly string[]} rooms opened before
 * @property {Node} theme
 * @property {() => string} suggest another friendly name
 * @property {(name: string) => void} create
 * @property {(name: string, room: string) => void} join
 * @property {(room: string) => Promise<number>} unsent how many messages of the room are on this device alone
 * @property {(room: string) => Promise<readonly string[]>} forget the rooms that are left
 */

const KEYS = {
  guest: "This page came over plain HTTP, so the browser gives it no keys: you will be a guest, and others cannot tell that it is you.",
  tab: "This browser keeps no keys here: your key lives as long as this tab.",
  profile: "No account. Your key is made here and stays in this browser.",
};

/** @param {HomeActs} acts */
export function homeScreen(acts) {
  const name = el("input", { id: "name", type: "text", maxlength: "64", autocomplete: "nickname", value: acts.name });
  const room = el("input", { id: "room-name", type: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false", placeholder: "Room name or invite link" });
  const problem = el("p", { id: "home-problem", class: "problem", role: "alert" });
  const key = el("p", { class: "quiet" }, KEYS.profile);
  const rooms = el("div", { class: "recent" });
  const dice = el("button", { type: "button", class: "plain round", "aria-label": "Another name", title: "Another name" }, icon("dice"));
  dice.addEventListener("click", () => {
    name.value = acts.suggest();
  });
  const start = el("form", { class: "stack" }, el("label", { for: "name" }, "Your name"), el("div", { class: "field-row" }, name, dice),
    el("button", { id: "create", type: "submit", class: "primary large" }, "Create a room"));
  const enter = el("form", { class: "stack" }, el("label", { for: "room-name" }, "Or join one"),
    el("div", { class: "field-row" }, room, el("button", { id: "join", type: "submit" }, "Join")));
  /** @param {(name: string) => string | null} go */
  const withName = (go) => {
    const chosen = cleanName(name.value);
    const why = nameProblem(chosen) ?? go(chosen);
    say(problem, why ?? "");
    if (why === nameProblem(chosen) && why) name.focus();
  };
  start.addEventListener("submit", (event) => {
    event.preventDefault();
    withName((chosen) => (acts.create(chosen), null));
  });
  enter.addEventListener("submit", (event) => {
    event.preventDefault();
    withName((chosen) => joinTyped(room, chosen, acts));
  });
  const dialog = knownRooms(rooms, acts, withName);
  const node = el("div", { class: "home" }, el("main", { class: "home-card" },
    el("div", { class: "home-head" }, el("span", { class: "brand", "aria-hidden": "true" }, "E"),
      el("div", {}, el("h1", {}, "E-Goat"), el("p", { class: "quiet" }, "Chat that gets through."))),
    start, enter, problem, rooms), el("footer", {}, key, acts.theme), dialog);
  const setLives = (/** @type {"guest" | "tab" | "profile"} */ lives) => say(key, KEYS[lives]);
  return { node, setLives, explain: (/** @type {string} */ text) => say(problem, text) };
}

/**
 * @param {HTMLInputElement} field
 * @param {string} name
 * @param {HomeActs} acts
 */
function joinTyped(field, name, { join }) {
  const room = roomFrom(field.value);
  const why = roomProblem(room);
  if (why) field.focus();
  else join(name, room);
  return why;
}

/**
 * Shows the rooms of before; the dialog that asks before one is forgotten with what waits in it.
 * @param {HTMLElement} place
 * @param {HomeActs} acts
 * @param {(go: (name: string) => string | null) => void} withName
 */
function knownRooms(place, acts, withName) {
  const show = (/** @type {readonly string[]} */ left) => recentRooms(place, left, { open, forget });
  const open = (/** @type {string} */ room) => withName((name) => (acts.join(name, room), null));
  const drop = async (/** @type {string} */ room) => show(await acts.forget(room));
  const { dialog, ask } = forgetDialog((room) => void drop(room));
  const forget = async (/** @type {string} */ room) => {
    const waiting = await acts.unsent(room);
    if (waiting) ask(room, waiting);
    else await drop(room);
  };
  show(acts.rooms);
  return dialog;
}

/**
 * @param {HTMLElement} place
 * @param {readonly string[]} rooms
 * @param {{open: (room: string) => void, forget: (room: string) => Promise<void>}} acts
 */
function recentRooms(place, rooms, acts) {
  put(place, "hidden", rooms.length === 0);
  const items = rooms.map((room) => {
    const open = el("button", { type: "button", class: "plain room-link", onclick: () => acts.open(room) }, room);
    const forget = el("button", { type: "button", class: "plain round", "aria-label": `Forget ${room}`, title: "Forget this room here" }, icon("close"));
    forget.addEventListener("click", () => void acts.forget(room));
    return el("li", {}, open, forget);
  });
  fill(place, el("h2", {}, "Rooms you were in"), el("ul", {}, ...items));
}
