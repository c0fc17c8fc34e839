// What this page's person says in one room: shown at once, sealed, kept, sent until acked, or refused with a reason.

import { Keeper } from "./keeper.js";
import { keyOf } from "./log.js";
import { Sender } from "./sender.js";
import * as timelines from "./timeline.js";
import { utf8Length } from "./wire/bytes.js";
import { isGuest, labelOf } from "./wire/ids.js";

/** @typedef {import("./timeline.js").Line} Line */
/** @typedef {import("./outbox-store.js").Kept} Kept */

/** What an envelope, its signature and a request around them take beside the text, in bytes. */
const FRAME_REST = 1024;

/**
 * @typedef {object} OwnParts
 * @property {import("./api.js").World} world
 * @property {string} room
 * @property {import("./identity.js").Identity} identity
 * @property {import("./log.js").Log} log
 * @property {() => {peerId: string, name: string}} self
 * @property {() => number} nodeNow
 * @property {() => {textBytes: number, frameBytes: number}} limits
 * @property {import("./sender.js").SenderParts["current"]} current
 * @property {ReadonlySet<string>} own ids of messages sent from this profile earlier
 * @property {(ids: ReadonlySet<string>) => void} keepOwn
 * @property {import("./keeper.js").KeeperParts["store"]} store
 * @property {import("./keeper.js").KeeperParts["streams"]} streams
 * @property {() => number} pause milliseconds that the node's copy waits for the direct one
 * @property {() => boolean} keeps whether what is said now is for the node's log
 * @property {(id: string, sealed: import("./wire/codec.js").Sealed) => void} sealed for whom the message can be told directly
 * @property {() => void} changed
 */

export class OwnMessages {
  /** @param {OwnParts} parts */
  constructor(parts) {
    const { world, room, identity, nodeNow, current, store, streams } = parts;
    this.parts = parts;
    this.ids = new Set(parts.own);
    /** @type {Set<string>} ids of those that no log keeps */
    this.unkept = new Set();
    this.sender = new Sender({
      world, room, identity, nodeNow, current,
      restamped: (message) => timelines.queue(this.timeline, message),
      keeps: parts.keeps,
      pause: parts.pause,
      sealed: (message, sealed, keep) => {
        if (keep) this.keeper.keep(message, sealed);
        else this.unkept.add(message.id);
        parts.sealed(message.id, sealed);
      },
      settled: (message) => this.keeper.drop(message),
      refused: (message, reason) => this.refuse(message, reason),
    });
    this.keeper = new Keeper({
      room, store, streams,
      stream: this.sender.stream,
      adopt: (kept) => this.adopt(kept),
      refused: (kept) => this.showRefused(kept, kept.reason ?? ""),
    });
  }

  get timeline() {
    return this.parts.log.timeline;
  }

  /** How many messages are only on this device, as far as this page sends them. */
  get waiting() {
    return this.sender.waiting;
  }

  /** Whether what waits would be lost with this tab. */
  get fragile() {
    return this.waiting > 0 && (!this.keeper.durable || !this.parts.keeps());
  }

  /** Shows the text at once and sends it as soon as a path is up. @param {string} text */
  say(text) {
    const whole = text.replace(/\p{Surrogate}/gu, "\uFFFD");
    const { peerId, name } = this.parts.self();
    const message = this.sender.compose({ sender: peerId, name, text: whole });
    this.claim(message);
    timelines.queue(this.timeline, message);
    this.sender.add(message);
    this.parts.changed();
  }

  /** Why this text cannot be sent, or null. @param {string} text */
  textProblem(text) {
    const bytes = utf8Length(text);
    const { textBytes, frameBytes } = this.parts.limits();
    if (bytes > textBytes) return `Too long: ${bytes.toLocaleString()} of at most ${textBytes.toLocaleString()} bytes.`;
    const framed = utf8Length(JSON.stringify(JSON.stringify(text))) + FRAME_REST;
    return framed > frameBytes ? "Too long: so many quotes and control characters grow too large on the way." : null;
  }

  /** Sends a failed or kept message of this page once more: what the node once held, exactly as it was. @param {Line} line */
  sayAgain(line) {
    if (line.sender !== this.parts.self().peerId) {
      this.discard(line);
      return this.say(line.text ?? "");
    }
    const copy = this.parts.log.copies.get(keyOf(line));
    const { id, sender, name, kind, text, verified } = line;
    const hlc = copy ? line.hlc : this.sender.compose({ sender, name, text: text ?? "" }).hlc;
    const message = { id, sender, hlc, name, kind, text, verified, mine: true };
    timelines.queue(this.timeline, message);
    this.sender.add(message, copy);
    this.parts.changed();
  }

  /** Takes a refused message back for good. @param {Line} line */
  discard(line) {
    timelines.discard(this.timeline, line);
    this.keeper.drop(line);
    this.parts.changed();
  }

  /** A guest knows its own messages by their ids alone. @param {{sender: string, id: string}} message */
  claim({ sender, id }) {
    this.ids.add(id);
    if (isGuest(sender)) this.parts.keepOwn(this.ids);
  }

  /** @param {string} sender @param {string} id */
  isMine(sender, id) {
    return isGuest(sender) ? this.ids.has(id) : sender === this.parts.self().peerId;
  }

  /** A message of an earlier visit, or of a tab that is gone, waits to be sent. @param {Kept} kept */
  adopt(kept) {
    const { sender, id, hlc, name, kind, text, sealed } = kept;
    if (sender !== this.parts.self().peerId && !sealed.sig) {
      return this.showRefused(kept, `Written as “${labelOf(sender)}”, which is not your name here now.`);
    }
    const message = { id, sender, hlc, name, kind, text, verified: !isGuest(sender), mine: true };
    this.claim(message);
    this.sender.saw(hlc);
    timelines.queue(this.timeline, message);
    this.sender.add(message, sealed);
    this.parts.changed();
  }

  /**
   * @param {Kept} kept
   * @param {string} reason
   */
  showRefused({ sender, id, hlc, name, kind, text }, reason) {
    this.sender.saw(hlc);
    timelines.queue(this.timeline, { id, sender, hlc, name, kind, text, verified: !isGuest(sender), mine: true });
    timelines.failed(this.timeline, { sender, id, reason });
    this.parts.changed();
  }

  /**
   * @param {import("./timeline.js").Message} message
   * @param {string} reason
   */
  refuse(message, reason) {
    timelines.failed(this.timeline, { sender: message.sender, id: message.id, reason });
    this.keeper.refuse(message, reason);
    this.parts.changed();
  }

  /** @param {import("./wire/codec.js").Frame} frame an ack */
  acked(frame) {
    const sender = this.sender.messages.get(frame["id"])?.sender;
    this.sender.settled(frame["id"]);
    if (sender !== undefined) this.parts.log.acked(sender, /** @type {any} */ (frame));
  }

  /**
   * Somebody has these messages of this page: those that the node does not keep are done.
   * @param {readonly string[]} ids
   */
  handed(ids) {
    for (const id of ids) {
      const message = this.sender.messages.get(id);
      if (!message || this.sender.box.some((held) => held.id === id)) continue;
      timelines.handed(this.timeline, message);
      this.sender.settled(id);
    }
  }

  /** A message of the log came in. @param {import("./timeline.js").Logged} message */
  seen(message) {
    this.sender.saw(message.hlc);
    if (!message.mine) return;
    if (this.sender.messages.get(message.id)?.sender === message.sender) this.sender.settled(message.id);
    this.keeper.drop(message);
  }

  start() {
    this.keeper.start();
  }

  stop() {
    this.sender.stop();
    this.keeper.stop();
  }
}
