// The screen of one room: header, banner, conversation and composer, with people and paths beside them.

import { steps, summary, why } from "../words.js";
import { bannerLine } from "./banner.js";
import { composer } from "./composer.js";
import { detailsDialog } from "./details.js";
import { el, put, say } from "./dom.js";
import { roomHeader } from "./header.js";
import { inviteDialog, linkField } from "./invite.js";
import { nameDialog } from "./name-dialog.js";
import { notices } from "./notices.js";
import { peoplePane } from "./people-pane.js";
import { TimelineView } from "./timeline-view.js";
import { unreadTitle } from "./title.js";

/**
 * @typedef {object} RoomData
 * @property {string} room
 * @property {{peerId: string, name: string, lives: string}} self
 * @property {import("../roster.js").Person} own
 * @property {readonly import("./person-card.js").PersonView[]} others
 * @property {boolean} keeps whether what is written goes into the node's log
 * @property {string} crowd how the others are reached, in a few words
 * @property {import("../words.js").Banner | null} banner
 * @property {{strategy: string, forced: string | null, offered: readonly string[]}} choice
 * @property {import("../words.js").Situation} situation
 * @property {import("./timeline-view.js").TimelineData} timeline
 * @property {string} link
 * @property {boolean} local whether the link only works on this computer
 * @property {boolean} receipts whether the node takes them
 * @property {boolean} introduce whether the name was picked for this person and not yet confirmed
 */

/**
 * @typedef {object} RoomActs
 * @property {string} room
 * @property {string} draft
 * @property {Node} theme
 * @property {{node: Node, update: (offered: boolean) => void}} receipts the person's wish
 * @property {(text: string) => void} send
 * @property {(text: string) => string | null} problem
 * @property {(text: string) => void} keepDraft
 * @property {(line: import("../timeline.js").Line) => void} again
 * @property {(line: import("../timeline.js").Line) => void} discard
 * @property {() => void} older
 * @property {() => void} read
 * @property {(name: string) => string | null} rename
 * @property {() => void} retry
 * @property {(strategy: string, forced: string | null) => void} choose
 * @property {(line: import("../timeline.js").Line) => import("./details.js").Details} details
 * @property {() => void} leave
 */

const NARROW = "(max-width: 899px)";

/** @param {RoomActs} acts */
export function roomScreen(acts) {
  const { node: noticeArea, notice } = notices();
  const parts = dialogs(acts, notice);
  const view = new TimelineView(
    { older: acts.older, read: acts.read, message: messageActs(acts, (text) => writer.fill(text), parts.details) },
    emptyRoom(parts.emptyLink.node),
  );
  const send = (/** @type {string} */ text) => {
    acts.send(text);
    view.forgetUnread();
    view.toEnd();
  };
  const writer = composer({ ...acts, send });
  const pane = peoplePane({ close: () => drawer.close(), rename: parts.rename, retry: acts.retry, choose: acts.choose },
    acts.receipts.node, acts.theme);
  const showPath = () => {
    pane.showWhy(true);
    drawer.open();
  };
  const header = roomHeader({ leave: acts.leave, togglePeople: () => drawer.toggle(), showPath, invite: parts.invite.open });
  const line = bannerLine((action) => bannerAct(action, { retry: acts.retry, rename: parts.rename, showPath }));
  const hello = introduction(parts.rename);
  const main = el("main", {}, view.node, hello.node, writer.node);
  const shade = el("div", { class: "shade" });
  const node = el("div", { class: "room" }, header.node, line.node,
    el("div", { class: "panes" }, main, shade, pane.node), noticeArea, parts.invite.dialog, parts.naming.dialog, parts.details.dialog);
  const drawer = slideIn(pane.node, shade, [header.node, line.node, main], header.people);
  const update = updater({ ...parts, header, line, pane, view, hello, receipts: acts.receipts });
  return { node, update, view, settle: writer.settle, focus: writer.focus, notice };
}

/**
 * @param {RoomActs} acts
 * @param {(text: string) => void} notice
 */
function dialogs(acts, notice) {
  const invite = inviteDialog(notice);
  const naming = nameDialog(acts.rename);
  const emptyLink = linkField({ field: "empty-link", button: "empty-copy" }, notice);
  const details = detailsDialog();
  const shown = { name: "" };
  return { invite, naming, emptyLink, details, shown, rename: () => naming.ask(shown.name) };
}

/**
 * @param {RoomActs} acts
 * @param {(text: string) => void} edit
 * @param {ReturnType<typeof detailsDialog>} details
 * @returns {import("./message.js").MessageActs}
 */
const messageActs = (acts, edit, details) => ({
  again: acts.again, discard: acts.discard, edit, details: (line) => details.show(acts.details(line)),
});

/**
 * @param {ReturnType<typeof dialogs> & {header: ReturnType<typeof roomHeader>, line: ReturnType<typeof bannerLine>,
 *   pane: ReturnType<typeof peoplePane>, view: TimelineView, hello: ReturnType<typeof introduction>,
 *   receipts: RoomActs["receipts"]}} parts
 */
function updater({ shown, header, line, pane, view, hello, invite, emptyLink, receipts }) {
  return (/** @type {RoomData} */ data) => {
    const { room, self, own, others, situation, timeline, link, choice } = data;
    shown.name = self.name;
    header.update({ room, people: others.length + 1, keeps: data.keeps, summary: summary(situation, data.crowd) });
    line.update(data.banner);
    pane.update({
      self: own, others, lives: self.lives, steps: steps(situation), why: why(situation), choice,
      connected: situation.rows.some(({ active }) => active),
    });
    receipts.update(data.receipts);
    view.update(timeline);
    hello.update(data.introduce ? self.name : null);
    invite.update(link, data.local);
    emptyLink.update(link);
    unreadTitle(timeline.unread, room);
  };
}

/** @param {Node} link */
const emptyRoom = (link) => el("div", { class: "card invite-card" },
  el("h2", {}, "Nobody has said anything yet"),
  el("p", {}, "Send this link to the people you want here. Whoever opens it is in the room."), link,
  el("p", { class: "quiet" }, "Open room: anyone who knows its name can read it."));

/**
 * @param {string} action
 * @param {{retry: () => void, rename: () => void, showPath: () => void}} acts
 */
function bannerAct(action, { retry, rename, showPath }) {
  if (action === "retry") retry();
  else if (action === "name") rename();
  else showPath();
}

/** Tells a first visitor which name was picked. @param {() => void} rename */
function introduction(rename) {
  const text = el("span", {});
  const node = el("p", { id: "introduction", hidden: true }, text,
    el("button", { type: "button", class: "link", onclick: rename }, "Change name"));
  /** @param {string | null} name */
  const update = (name) => {
    put(node, "hidden", name === null);
    if (name !== null) say(text, `You are here as ${name}.`);
  };
  return { node, update };
}

/**
 * On a narrow window the pane slides in above the rest, which rests meanwhile; on a wide one it is always there.
 * @param {HTMLElement} pane
 * @param {HTMLElement} shade
 * @param {HTMLElement[]} rest
 * @param {HTMLElement} opener
 */
function slideIn(pane, shade, rest, opener) {
  const narrow = matchMedia(NARROW);
  let isOpen = false;
  const apply = () => {
    const over = narrow.matches && isOpen;
    pane.classList.toggle("open", isOpen);
    shade.classList.toggle("open", over);
    pane.inert = narrow.matches && !isOpen;
    for (const element of rest) element.inert = over;
    put(opener, "aria-expanded", String(over));
  };
  const close = () => {
    if (!isOpen) return;
    isOpen = false;
    apply();
    opener.focus();
  };
  const open = () => {
    isOpen = true;
    apply();
    pane.focus();
  };
  narrow.addEventListener("change", () => {
    isOpen = false;
    apply();
  });
  shade.addEventListener("click", close);
  pane.addEventListener("keydown", (event) => event.key === "Escape" && close());
  apply();
  return { open, close, toggle: () => (isOpen ? close() : open()) };
}
