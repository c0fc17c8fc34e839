// Receipts of one room: tells the node how far this page is, when that has changed and at most once a second, and keeps
// what it tells of the others. What was read is what a visible page showed at its newest line.

import { resumeAfter } from "./coverage.js";
import { handed, heard, receipts, tally } from "./receipts.js";
import { checkReceipts } from "./wire/codec.js";

/** @typedef {import("./timeline.js").Line} Line */

/**
 * @typedef {object} ReceiptingParts
 * @property {import("./api.js").World} world
 * @property {import("./log.js").Log} log
 * @property {() => string} self the id of this page's peer
 * @property {() => import("./roster.js").Roster} roster
 * @property {() => boolean} shares whether this person and the node want receipts
 * @property {(frame: object) => boolean} send through the node; false while no path to it is up
 * @property {(id: string) => boolean} kept whether an own message is for the node's log
 */

/** What comes together is told together. */
const GATHER_MS = 200;
const EVERY_MS = 1_000;

export class Receipting {
  /** @param {ReceiptingParts} parts */
  constructor(parts) {
    this.parts = parts;
    this.world = parts.world;
    this.held = receipts();
    this.sent = "";
    this.sentAt = -Infinity;
    /** @type {number | undefined} */
    this.timer = undefined;
    /** @type {{print: unknown[], tally: ReturnType<typeof tally>} | null} */
    this.counted = null;
  }

  /** The node told how far others are, in a frame or with its welcome. @param {import("./wire/codec.js").Frame} frame */
  told(frame) {
    const rows = checkReceipts(frame["rows"] ?? frame["receipts"]);
    return heard(this.held, this.parts.log.timeline.logId, frame["log_id"], rows);
  }

  /**
   * Somebody has these messages of this page from it directly.
   * @param {string} peer
   * @param {readonly string[]} ids
   */
  handed(peer, ids) {
    const { held } = this.parts.log.timeline;
    const self = this.parts.self();
    return handed(this.held, peer, ids.filter((id) => held.has(`${self}\n${id}`)));
  }

  /** How an own message stands with the others, and whether it is for the node's log at all. @param {Line} line */
  of(line) {
    return { ...this.tally().of(line), kept: this.parts.kept(line.id) };
  }

  /** The ids of those who have an own message, and of those who have seen it. @param {Line} line */
  who(line) {
    return this.tally().who(line);
  }

  tally() {
    const [roster, self, current] = [this.parts.roster(), this.parts.self(), this.parts.log.timeline.logId];
    const print = [this.held.version, roster, self, current];
    if (!this.counted || print.some((value, index) => value !== this.counted?.print[index])) {
      this.counted = { print, tally: tally(this.held, { current, self, present: roster.keys() }) };
    }
    return this.counted.tally;
  }

  /** What this page has said, for a node that remembers only while it is told. @returns {object[]} */
  said() {
    return this.sent !== "" && this.parts.shares() ? [JSON.parse(this.sent)] : [];
  }

  /** This page may hold or have shown more than it said. */
  note() {
    if (this.timer !== undefined || this.word() === this.sent) return;
    const pause = Math.max(GATHER_MS, this.sentAt + EVERY_MS - this.world.now());
    this.timer = this.world.setTimeout(() => this.tell(), pause);
  }

  /** Another way to the node, or the person's wish changed: everything is said anew. */
  renew() {
    this.sent = "";
    this.note();
  }

  tell() {
    this.timer = undefined;
    const word = this.word();
    if (word === this.sent) return;
    this.sentAt = this.world.now();
    if (this.parts.shares() && this.parts.send(JSON.parse(word))) this.sent = word;
  }

  /** The frame that says how far this page is; empty while it does not know. */
  word() {
    const { log } = this.parts;
    const { logId, spans } = log.timeline;
    const got = resumeAfter(spans);
    if (logId === null || got === null || !log.history.loaded) return "";
    return JSON.stringify({ type: "receipt", log_id: logId, got, read: Math.min(got, log.seenUpTo()) });
  }

  stop() {
    this.world.clearTimeout(this.timer);
  }
}
