// The conversation on screen: keeps its place while rows change, stays at the newest line when it stands there, and
// asks for older pages when it is scrolled up. `#timeline` (role log), `#jump`, `#late`, `#empty`, `#older`.

import { arrange, el, put, say } from "./dom.js";
import { icon } from "./icons.js";
import { messageElement, printOf, renewState, statePrint } from "./message.js";
import { LATE_MS, rowsOf } from "./rows.js";

/** How many messages are on screen at first, how many a scroll to the top adds, and how many are kept at the bottom. */
const SHOWN = 120;
const MORE = 100;
const KEPT = 300;
const NEAR_TOP_PX = 300;
const NEAR_END_PX = 48;

/**
 * @typedef {object} TimelineData
 * @property {string} room
 * @property {readonly import("../timeline.js").Line[]} lines
 * @property {readonly import("../notes.js").Note[]} notes
 * @property {ReadonlyMap<string, string>} proofs
 * @property {(line: import("../timeline.js").Line) => import("./standing.js").Receipt} receipts of an own message
 * @property {boolean} unseen whether something has not been on a visible page
 * @property {(key: string) => string | null} via which path brought a message first
 * @property {number} firstUnread index in lines, -1 when all is read
 * @property {number} unread
 * @property {number} now the node's time
 * @property {{loading: boolean, loaded: boolean, complete: boolean, failed: boolean}} history
 */

/** @typedef {{older: () => void, read: () => void, message: import("./message.js").MessageActs}} TimelineActs */

export class TimelineView {
  /**
   * @param {TimelineActs} acts
   * @param {Node} welcome what an empty room shows
   */
  constructor(acts, welcome) {
    this.acts = acts;
    this.shown = SHOWN;
    this.lines = 0;
    this.atEnd = true;
    this.placed = false;
    /** @type {TimelineData | null} */
    this.data = null;
    /** @type {string | null} */
    this.unreadFrom = null;
    /** @type {Set<string>} */
    this.lateSeen = new Set();
    /** @type {Map<string, {print: string, state: string, element: HTMLElement}>} */
    this.held = new Map();
    this.rows = el("div", { id: "timeline", role: "log", "aria-label": "Messages", "aria-live": "polite" });
    this.older = el("p", { id: "older", class: "edge" });
    this.empty = el("div", { id: "empty", hidden: true }, welcome);
    this.scroller = el("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "Conversation" },
      el("div", { class: "column" }, this.older, this.rows, this.empty));
    this.jump = el("button", { id: "jump", type: "button", hidden: true, onclick: () => this.toEnd() });
    this.late = el("button", { id: "late", type: "button", hidden: true, onclick: () => this.toLate() });
    this.node = el("div", { class: "conversation" }, this.scroller, this.late, this.jump);
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    new ResizeObserver(() => this.atEnd && this.toEnd()).observe(this.scroller);
  }

  /** @param {TimelineData} data */
  update(data) {
    if (!this.atEnd && this.data) this.shown += Math.max(0, data.lines.length - this.lines);
    this.lines = data.lines.length;
    this.data = data;
    this.markUnread();
    const anchor = this.atEnd ? null : this.anchor();
    const { lines } = data;
    const from = Math.max(0, lines.length - this.shown);
    const whole = from === 0 && data.history.complete;
    const rows = rowsOf({ ...data, lines: lines.slice(from), unreadFrom: this.unreadFrom, whole });
    put(this.rows, "aria-busy", data.history.loading);
    arrange(this.rows, this.elements(rows));
    this.edges(whole);
    if (this.atEnd) this.scroller.scrollTop = this.scroller.scrollHeight;
    else if (anchor) this.holdAt(anchor);
    this.showUnread();
    this.buttons();
    if (this.atEnd && document.visibilityState === "visible" && (data.unread > 0 || data.unseen)) this.acts.read();
    this.fillScreen();
  }

  /** Remembers where the unread line stands from the moment something is not seen at once. */
  markUnread() {
    const { lines, firstUnread } = this.data ?? { lines: [], firstUnread: -1 };
    const seen = this.atEnd && document.visibilityState === "visible";
    if (firstUnread < 0 || this.unreadFrom !== null || (seen && this.held.size > 0)) return;
    const line = lines[firstUnread];
    if (line && firstUnread > 0) this.unreadFrom = `${line.sender} ${line.id}`;
  }

  /** A room that is opened with unread messages opens at the first of them. */
  showUnread() {
    if (this.placed || !this.data?.history.loaded) return;
    this.placed = true;
    const line = this.held.get("new")?.element;
    if (!line || line.getBoundingClientRect().top >= this.scroller.getBoundingClientRect().top) return;
    this.atEnd = false;
    line.scrollIntoView({ block: "start" });
  }

  /** The unread line has served; the next unseen message gets a new one. */
  forgetUnread() {
    this.unreadFrom = null;
  }

  /** @param {import("./rows.js").Row[]} rows */
  elements(rows) {
    const next = new Map();
    const elements = rows.map((row) => {
      const print = row.kind === "message" ? printOf(row) : row.text;
      const known = this.held.get(row.key);
      const state = row.kind === "message" ? statePrint(row) : "";
      const element = known?.print === print ? known.element : this.element(row);
      if (row.kind === "message" && element === known?.element && known.state !== state) renewState(element, row);
      next.set(row.key, { print, state, element });
      return element;
    });
    this.held = next;
    return elements;
  }

  /** @param {import("./rows.js").Row} row */
  element(row) {
    if (row.kind === "message") return messageElement(row, this.acts.message);
    return el("div", { class: `between ${row.kind}`, "data-note": row.kind }, el("span", {}, row.text));
  }

  /** What stands above the first row, and in the middle of an empty room. @param {boolean} whole */
  edges(whole) {
    const { history, lines, room } = this.data ?? { history: null, lines: [], room: "" };
    if (!history) return;
    put(this.empty, "hidden", !(history.complete && lines.length === 0));
    let text = "";
    if (history.loading) text = history.loaded ? "Loading older messages…" : "Loading the history…";
    else if (history.failed && !history.complete) text = "The history cannot be read right now.";
    else if (whole && lines.length > 0) text = `This is the start of ${room}.`;
    say(this.older, text);
  }

  buttons() {
    const unread = this.data?.unread ?? 0;
    put(this.jump, "hidden", this.atEnd);
    const words = unread > 0 ? `${unread} new` : "Newest";
    if (this.jump.textContent !== words) this.jump.replaceChildren(icon("down"), words);
    const late = this.lateRows().length;
    put(this.late, "hidden", late === 0);
    const told = late === 1 ? "1 message arrived late" : `${late} messages arrived late`;
    if (this.late.textContent !== told) this.late.replaceChildren(icon("up"), told);
  }

  lateRows() {
    const lines = this.data?.lines ?? [];
    return lines.filter(({ late, behind, mine, sender, id }) =>
      late && !mine && behind >= LATE_MS && !this.lateSeen.has(`${sender} ${id}`));
  }

  toLate() {
    const [line] = this.lateRows();
    if (!line || !this.data) return;
    const key = `${line.sender} ${line.id}`;
    this.lateSeen.add(key);
    const fromEnd = this.data.lines.length - this.data.lines.indexOf(line);
    this.shown = Math.max(this.shown, fromEnd + 20);
    this.atEnd = false;
    this.update(this.data);
    const element = this.held.get(key)?.element;
    element?.scrollIntoView({ block: "center" });
    element?.classList.add("pointed");
  }

  toEnd() {
    this.atEnd = true;
    this.shorten();
    this.scroller.scrollTop = this.scroller.scrollHeight;
    if (this.data) this.update(this.data);
  }

  /** Back at the newest line, what lies far above need not stay on screen. */
  shorten() {
    if (this.shown > KEPT) this.shown = SHOWN;
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    if (atEnd !== this.atEnd) {
      this.atEnd = atEnd;
      if (atEnd) this.shorten();
      if (this.data) this.update(this.data);
    }
    if (scrollTop < NEAR_TOP_PX) this.wantOlder();
  }

  wantOlder() {
    if (!this.data || this.data.history.loading) return;
    const hidden = this.data.lines.length - this.shown;
    if (hidden > 0) {
      this.shown += MORE;
      this.update(this.data);
    } else if (this.data.history.loaded && !this.data.history.complete) {
      this.shown += MORE;
      this.acts.older();
    }
  }

  /** A window taller than its content could not be scrolled, so it asks by itself. */
  fillScreen() {
    const { scrollHeight, clientHeight } = this.scroller;
    const history = this.data?.history;
    if (history?.loaded && !history.loading && !history.failed && scrollHeight <= clientHeight + 1) this.wantOlder();
  }

  /** The first message on screen and where it stands, to stay there; the line of a day moves up as older ones come. */
  anchor() {
    const top = this.scroller.getBoundingClientRect().top;
    for (const [key, { element }] of this.held) {
      const place = element.getBoundingClientRect();
      if (place.bottom > top && element.hasAttribute("data-message")) return { key, bottom: place.bottom };
    }
    return null;
  }

  /** @param {{key: string, bottom: number}} anchor its element may be another one by now */
  holdAt({ key, bottom }) {
    const element = this.held.get(key)?.element;
    if (element) this.scroller.scrollTop += element.getBoundingClientRect().bottom - bottom;
  }
}
