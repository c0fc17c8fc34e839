// The direct side of one room: who is reached without the node, what comes that way, and what must still reach the log.

import { Custody } from "./custody.js";
import { tooFarAhead } from "./hlc.js";
import { keyOf } from "./log.js";
import { Peers } from "./peers.js";
import { Relay } from "./relay.js";
import { verifySealed } from "./verify.js";
import { utf8Length } from "./wire/bytes.js";
import { frameBytes, readEnvelope, sendFrame } from "./wire/codec.js";
import { isGuest } from "./wire/ids.js";
import { LIMITS } from "./wire/protocol.gen.js";

/** @typedef {import("./wire/codec.js").Sealed} Sealed */
/** @typedef {{peerId: string, session: string}} From */

/**
 * @typedef {object} DirectParts
 * @property {import("./api.js").World} world
 * @property {string} room
 * @property {string} session
 * @property {() => string} peerId
 * @property {import("./identity.js").Identity} identity
 * @property {ReadonlyMap<string, import("./rungs/index.js").RungKind>} kinds
 * @property {import("./log.js").Log} log
 * @property {import("./verify.js").Verify} verify
 * @property {() => string | null} token
 * @property {() => number} nodeNow
 * @property {(frame: object) => boolean} toNode sends through the node; false while no path to it is up
 * @property {(id: string) => boolean} isOwn whether a message of this page has this id
 * @property {(from: From, ids: readonly string[], quiet: boolean) => void} got somebody has these own messages; `quiet`: and does not want that shown
 * @property {() => boolean} quiet whether this person does not want it shown
 * @property {(peer: import("./peer.js").Peer, rung: string | null, before: string | null) => void} used
 * @property {() => void} changed
 */

export class Direct {
  /** @param {DirectParts} parts */
  constructor(parts) {
    const { world, room, session, identity, kinds, verify, token, toNode } = parts;
    this.parts = parts;
    this.relay = new Relay(world, token);
    this.custody = new Custody(world, (sealed) => toNode(sendFrame(sealed)));
    this.peers = new Peers({
      world, room, kinds, verify,
      self: () => ({ peerId: parts.peerId(), session }),
      relay: this.relay,
      signal: toNode,
      sign: async (text) => (identity.pk ? { sig: await identity.sign(text), pk: identity.pk } : null),
      message: (sealed, from, rung) => this.arrived(sealed, from, rung),
      got: (from, ids, quiet) => parts.got(from, ids, quiet),
      quiet: parts.quiet,
      used: parts.used,
      changed: parts.changed,
    });
    /** @type {Promise<void>} */
    this.taking = Promise.resolve();
  }

  /** Messages are checked and shown in the order in which they came. @param {Sealed} sealed @param {From} from @param {string} rung */
  arrived(sealed, from, rung) {
    const at = this.parts.world.now();
    this.taking = this.taking.then(() => this.take(sealed, from, rung, at)).catch(() => undefined);
  }

  /**
   * @param {Sealed} sealed
   * @param {From} from
   * @param {string} rung
   * @param {number} at
   */
  async take(sealed, from, rung, at) {
    const envelope = readEnvelope(sealed.env);
    if (!envelope || frameBytes(sealed) > LIMITS.FRAME_BYTES || !this.fits(envelope)) return;
    const { sender, id } = envelope;
    const proof = await verifySealed(this.parts.verify, sender, sealed);
    const vouched = proof === "good" || sender === from.peerId;
    if (proof === "bad" || !vouched) return;
    const known = this.parts.log.direct(sealed, proof, { rung, at, from: from.peerId });
    this.peers.confirm(from, id);
    if (!known && envelope.keep !== false && !this.parts.isOwn(id)) this.custody.hold(keyOf({ sender, id }), id, sealed);
    this.parts.changed();
  }

  /**
   * What the node would refuse is not shown from elsewhere either.
   * @param {import("./wire/codec.js").Envelope} envelope
   */
  fits({ room, hlc, kind, id, body, stream, n, sender }) {
    if (room !== this.parts.room || tooFarAhead(hlc, this.parts.nodeNow())) return false;
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(id) || !/^[a-z][a-z0-9_.-]{0,31}$/.test(kind)) return false;
    if (!isGuest(sender) && !(/^[0-9a-f]{16}$/.test(stream) && Number.isSafeInteger(n) && n >= 0)) return false;
    if (kind !== "text") return true;
    const { text = "", name = "" } = body;
    return text.trim() !== "" && utf8Length(text) <= LIMITS.TEXT_BYTES && !text.includes("\0") && name.length <= LIMITS.NAME_CHARS;
  }

  /** An own message was sealed. @param {string} id @param {Sealed} sealed */
  say(id, sealed) {
    this.peers.say(id, sealed);
  }

  /** The log showed a message. @param {{sender: string, id: string, mine: boolean}} message */
  logged(message) {
    this.custody.release(keyOf(message));
    if (message.mine) this.peers.settled(message.id);
    else this.peers.talked(message.sender);
  }

  /** The node has taken a message of this id, or refused it for good. @param {string} id */
  settled(id) {
    this.custody.settled(id);
    this.peers.settled(id);
  }

  stop() {
    this.peers.stop();
    this.custody.stop();
  }
}
