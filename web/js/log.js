// This page's copy of the room's log: takes in what links and history bring, checks it, and knows what is missing.

import { Arrivals } from "./arrivals.js";
import { resumeAfter } from "./coverage.js";
import { format } from "./hlc.js";
import { History } from "./history.js";
import * as timelines from "./timeline.js";
import { verifySealed } from "./verify.js";
import { readCursor, readEnvelope, writeCursor } from "./wire/codec.js";
import { isGuest, labelOf } from "./wire/ids.js";

/** @typedef {import("./wire/codec.js").Sealed} Sealed */
/** @typedef {import("./verify.js").Proof} Proof */

/**
 * @typedef {object} LogParts
 * @property {import("./api.js").World} world
 * @property {string} room
 * @property {string} mark how far this profile has read: a cursor, or empty
 * @property {import("./verify.js").Verify} verify
 * @property {(sender: string, id: string) => boolean} isMine
 * @property {(message: import("./timeline.js").Logged) => void} seen a message of the log came in
 * @property {(reason: string) => void} replaced the node's log is another one, or was cut
 * @property {() => void} changed
 */

export class Log {
  /** @param {LogParts} parts */
  constructor(parts) {
    this.parts = parts;
    this.timeline = timelines.timeline(earlier(parts.mark));
    /** Up to where a visible page of this profile has shown the log, as far as this page knows. */
    this.seen = readCursor(parts.mark) ?? { logId: "", seq: 0 };
    /** @type {Map<string, Proof>} */
    this.proofs = new Map();
    /** @type {Map<string, Sealed>} */
    this.copies = new Map();
    this.arrivals = new Arrivals();
    /** @type {Map<string, string>} the very text of what is shown as signed by its author */
    this.proven = new Map();
    /** @type {Map<string, string>} what authors were last called, for kinds that do not say */
    this.names = new Map();
    this.history = new History({
      world: parts.world,
      room: parts.room,
      timeline: this.timeline,
      take: (copy, older) => this.take(copy, older, "history"),
      replaced: parts.replaced,
      changed: parts.changed,
    });
  }

  /** Everything after this is wanted; null while nothing is known. */
  cursor() {
    const { logId, spans } = this.timeline;
    const after = resumeAfter(spans);
    return logId === null || after === null ? null : writeCursor(logId, after);
  }

  /** Everything shown has been read. Returns the cursor that says so, or null. */
  markRead() {
    const { logId, spans } = this.timeline;
    const top = spans.at(-1)?.to;
    if (logId === null || top === undefined) return null;
    timelines.markRead(this.timeline, top);
    this.seen = { logId, seq: top };
    return writeCursor(logId, top);
  }

  /** The seq up to which the log in use was on a visible page; 0 for none of it. */
  seenUpTo() {
    return this.seen.logId === this.timeline.logId ? this.seen.seq : 0;
  }

  /** Whether there is something that no visible page has shown. */
  get unseen() {
    return this.history.loaded && (this.timeline.spans.at(-1)?.to ?? 0) > this.seenUpTo();
  }

  /**
   * The node named its log.
   * @param {import("./timeline.js").LogPlace} place
   */
  follow(place) {
    const { history, timeline } = this;
    const replaced = timeline.logId !== null && timeline.logId !== place.logId;
    const gone = timelines.follow(timeline, place);
    if (replaced) history.loaded = false;
    if (replaced && gone.length > 0) this.parts.replaced("log");
    if (history.loaded) void history.fill();
    else void history.start();
  }

  /**
   * @param {string} sender
   * @param {{id: string, seq: number, log_id: string, at: number}} ack
   */
  acked(sender, { id, seq, log_id: logId, at }) {
    if (logId !== this.timeline.logId) this.follow({ logId, floor: 0, head: seq - 1 });
    timelines.acked(this.timeline, { sender, id, seq, at });
    void this.history.fill();
  }

  /**
   * A message that came from its author, or from another member, without the node. True when it was known already.
   * @param {Sealed} sealed
   * @param {Proof} proof
   * @param {import("./arrivals.js").Copy} copy
   */
  direct(sealed, proof, copy) {
    const message = this.shownForm({ ...sealed, seq: 0, at: 0 });
    const key = keyOf(message);
    const { what } = timelines.direct(this.timeline, message);
    this.arrivals.note(key, copy);
    if (what === "same") return true;
    this.proofs.set(key, proof);
    if (proof === "good") this.proven.set(key, sealed.env);
    return false;
  }

  /**
   * A message of the log, live or from a page of history; `rung` brought it. Another text than the one that its author
   * was seen to have signed takes its place in the log, not on the screen.
   * @param {import("./history.js").Copy} copy
   * @param {boolean} older
   * @param {string} rung
   */
  take(copy, older, rung) {
    const { seq, at } = copy;
    const sealed = { env: copy.env, sig: copy.sig, pk: copy.pk };
    const message = { ...this.shownForm(copy), seq, at };
    const proven = this.proven.get(keyOf(message));
    if (proven !== undefined && proven !== copy.env) timelines.acked(this.timeline, message);
    else timelines.logged(this.timeline, message, older || !this.history.loaded);
    if (message.mine) this.copies.set(keyOf(message), sealed);
    this.arrivals.note(keyOf(message), { rung, at: this.parts.world.now(), from: null });
    this.parts.seen(message);
    void this.check(message, sealed);
    if (!older) void this.history.fill();
  }

  /**
   * @param {import("./history.js").Copy} copy
   * @returns {import("./timeline.js").Message}
   */
  shownForm({ seq, at, env }) {
    const read = readEnvelope(env);
    if (!read || read.room !== this.parts.room) {
      const unreadable = { id: `seq-${seq}`, sender: "", hlc: format(at, 0), kind: "unreadable" };
      return { ...unreadable, name: "Somebody", text: null, verified: false, mine: false };
    }
    const { id, sender, hlc, kind, body } = read;
    const name = body.name || (isGuest(sender) ? labelOf(sender) : this.names.get(sender) ?? "Somebody");
    if (body.name) this.names.set(sender, body.name);
    const text = kind === "text" ? body.text ?? "" : null;
    return { id, sender, hlc, kind, name, text, verified: !isGuest(sender), mine: this.parts.isMine(sender, id) };
  }

  /**
   * @param {{sender: string, id: string, kind: string}} message
   * @param {Sealed} sealed
   */
  async check(message, sealed) {
    const key = keyOf(message);
    const proven = this.proven.get(key);
    if (message.kind === "unreadable" || proven !== undefined) return;
    const proof = await verifySealed(this.parts.verify, message.sender, sealed).catch(() => /** @type {const} */ ("unknown"));
    if (this.proven.has(key)) return;
    this.proofs.set(key, proof);
    if (proof === "good") this.proven.set(key, sealed.env);
    if (proof === "bad") this.parts.changed();
  }
}

/** @param {{sender: string, id: string}} message */
export const keyOf = ({ sender, id }) => `${sender}\n${id}`;

/** @param {string} mark */
function earlier(mark) {
  const cursor = readCursor(mark);
  return cursor ? { logId: cursor.logId, read: cursor.seq } : {};
}
