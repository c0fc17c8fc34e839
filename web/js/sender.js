// Seals own messages in the author's order and keeps sending them on whatever link is up until the node has them.

import { format, observe, stamp, tooFarAhead, ZERO } from "./hlc.js";
import { empty, nextTry, postpone, put, take, without } from "./outbox.js";
import { toHex } from "./wire/bytes.js";
import { frameBytes, readEnvelope, sendFrame, signedText, writeEnvelope } from "./wire/codec.js";
import { uuid7 } from "./wire/ids.js";

/** @typedef {import("./timeline.js").Message} Message */

/**
 * @typedef {object} SenderParts
 * @property {import("./api.js").World} world
 * @property {string} room
 * @property {import("./identity.js").Identity} identity
 * @property {() => number} nodeNow
 * @property {() => {number: number, link: import("./rungs/index.js").Link, window: import("./outbox.js").Window} | null} current
 * @property {(message: Message) => void} restamped
 * @property {() => number} pause milliseconds that the node's copy waits for the direct one
 * @property {() => boolean} keeps whether what is said now is for the node's log
 * @property {(message: Message, sealed: import("./wire/codec.js").Sealed, keep: boolean) => void} sealed it waits from now on
 * @property {(message: Message) => void} settled the node has it
 * @property {(message: Message, reason: string) => void} refused
 */

export class Sender {
  /** @param {SenderParts} parts */
  constructor(parts) {
    const { world, room, identity, nodeNow, current } = parts;
    this.parts = parts;
    this.world = world;
    this.room = room;
    this.identity = identity;
    this.nodeNow = nodeNow;
    this.current = current;
    this.stream = toHex(world.random(8));
    this.n = 0;
    this.newest = ZERO;
    this.taken = ZERO;
    this.box = empty;
    /** @type {Map<string, Message>} */
    this.messages = new Map();
    /** @type {Map<string, boolean>} whether a message was for the log when it was said, also when it is sealed anew */
    this.wish = new Map();
    /** @type {Promise<void>} */
    this.sealing = Promise.resolve();
    /** @type {number | undefined} */
    this.timer = undefined;
  }

  /** How many messages are only on this device. */
  get waiting() {
    return this.messages.size;
  }

  /**
   * A new message, not yet sealed.
   * @param {{sender: string, name: string, text: string}} said
   * @returns {Message}
   */
  compose({ sender, name, text }) {
    const now = this.nodeNow();
    this.newest = stamp(this.newest, now);
    const verified = this.identity.pk !== null;
    const id = uuid7(now, this.world.random(10));
    return { id, sender, hlc: this.newest, name, kind: "text", text, verified, mine: true };
  }

  /** @param {string} hlc of a message that was seen */
  saw(hlc) {
    if (!tooFarAhead(hlc, this.nodeNow())) this.newest = observe(this.newest, hlc);
  }

  /**
   * Seals the message, unless it was sealed before, and sends it until it is acked.
   * @param {Message} message
   * @param {import("./wire/codec.js").Sealed} [copy] an earlier sealing to be sent as it is
   */
  add(message, copy) {
    this.messages.set(message.id, message);
    if (!copy && !this.wish.has(message.id)) this.wish.set(message.id, this.parts.keeps());
    this.sealing = this.sealing
      .then(async () => this.post(message, copy ?? (await this.seal(message))))
      .catch((error) => this.giveUp(message.id, String(error)));
  }

  /** @param {Message} message */
  async seal(message) {
    const { id, sender, kind, hlc, name } = message;
    this.n += 1;
    const body = { text: message.text ?? "", name };
    const { room, stream, n } = this;
    const env = writeEnvelope({ id, room, sender, stream, n, kind, hlc, body, keep: this.wish.get(id) ?? true });
    const { pk } = this.identity;
    return pk ? { env, sig: await this.identity.sign(signedText(env)), pk } : { env };
  }

  /**
   * @param {Message} message
   * @param {import("./wire/codec.js").Sealed} sealed
   */
  post(message, sealed) {
    const { id, hlc } = message;
    if (this.messages.get(id) !== message) return;
    const keep = readEnvelope(sealed.env)?.keep !== false;
    const pause = this.parts.pause();
    if (keep) this.box = put(this.box, { id, hlc, sealed, bytes: frameBytes(sealed) });
    if (keep && pause > 0) this.box = postpone(this.box, id, this.world.now() + pause);
    this.parts.sealed(message, sealed, keep);
    if (!keep) return;
    this.pump();
  }

  /** Sends what is due on the link in use. */
  pump() {
    const current = this.current();
    this.world.clearTimeout(this.timer);
    if (!current || this.box.length === 0) return;
    const now = this.world.now();
    const { box, batch } = take(this.box, current.number, now, current.window);
    this.box = box;
    for (const { sealed } of batch) current.link.send(sendFrame(sealed));
    const next = nextTry(this.box, current.number);
    if (next < Infinity) this.timer = this.world.setTimeout(() => this.pump(), Math.max(50, next - now));
  }

  /** @param {string} id the node has it */
  settled(id) {
    const message = this.messages.get(id);
    if (message) {
      this.taken = observe(this.taken, message.hlc);
      this.parts.settled(message);
    }
    this.messages.delete(id);
    this.wish.delete(id);
    this.box = without(this.box, id);
    this.pump();
  }

  /**
   * What the node said against one message.
   * @param {{id: string, code: string, detail: string, retry: number | null, now: number | null}} fault
   */
  fault({ id, code, detail, retry, now }) {
    const message = this.messages.get(id);
    if (!message) return;
    if (code === "clock" && now !== null) {
      if (tooFarAhead(message.hlc, now)) this.stampAnew(now);
      return;
    }
    const seconds = retry ?? (code === "unauthorized" ? 1 : null);
    if (seconds === null) return this.giveUp(id, detail);
    this.box = postpone(this.box, id, this.world.now() + Math.max(0.2, seconds) * 1000);
    this.pump();
  }

  /**
   * The node's clock is another than this page thought. What lies too far ahead was refused and not stored, so it is
   * stamped again under the same id, behind all that does not; a refusal of the earlier stamp that comes later is no
   * news.
   * @param {number} now the node's time
   */
  stampAnew(now) {
    const all = [...this.messages.values()];
    const stands = [this.taken, ...all.map(({ hlc }) => hlc)].filter((hlc) => !tooFarAhead(hlc, now));
    this.newest = stands.reduce(observe, format(Math.floor(now), 0));
    for (const message of all.filter(({ hlc }) => tooFarAhead(hlc, now))) {
      this.box = without(this.box, message.id);
      this.newest = stamp(this.newest, now);
      const renewed = { ...message, hlc: this.newest };
      this.parts.restamped(renewed);
      this.add(renewed);
    }
  }

  /**
   * @param {string} id
   * @param {string} reason
   */
  giveUp(id, reason) {
    const message = this.messages.get(id);
    this.messages.delete(id);
    this.wish.delete(id);
    this.box = without(this.box, id);
    if (message) this.parts.refused(message, reason);
    this.pump();
  }

  stop() {
    this.world.clearTimeout(this.timer);
  }
}
