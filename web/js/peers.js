// The direct paths of one room: a ladder for each session of somebody else, own messages out, theirs in.

import { isSamePerson, keyOf, Peer } from "./peer.js";
import { checkCall } from "./wire/call.js";
import { CEILING, MOST, worth } from "./mesh.js";

/** @typedef {import("./roster.js").Person} Person */
/** @typedef {import("./wire/codec.js").Sealed} Sealed */

/**
 * @typedef {object} PeersParts
 * @property {import("./api.js").World} world
 * @property {string} room
 * @property {() => {peerId: string, session: string}} self
 * @property {ReadonlyMap<string, import("./rungs/index.js").RungKind>} kinds
 * @property {import("./relay.js").Relay} relay
 * @property {(frame: object) => void} signal
 * @property {(text: string) => Promise<{sig: string, pk: string} | null>} sign
 * @property {import("./verify.js").Verify} verify
 * @property {(sealed: Sealed, from: {peerId: string, session: string}, rung: string) => void} message
 * @property {(from: {peerId: string, session: string}, ids: readonly string[], quiet: boolean) => void} got
 * @property {() => boolean} quiet whether the others may use our word of what came to send, but not show it
 * @property {(peer: Peer, rung: string | null, before: string | null) => void} used
 * @property {() => void} changed
 */

/** Own messages kept for those who come within reach, when the node does not keep them. */
const MOST_KEPT = 500;

/** In a large room places are given anew this long after somebody spoke. */
const REGROUP_MS = 1_000;

/** A direct copy that is not confirmed for so long goes again, so many at once to one session. */
const AGAIN_MS = 5_000;
const AT_ONCE = 32;

const FULL = "the other side has as many direct paths as it keeps";

/** Word of what came goes out after this pause. */
const GOT_MS = 30;

export class Peers {
  /** @param {PeersParts} parts */
  constructor(parts) {
    this.parts = parts;
    this.world = parts.world;
    /** @type {Map<string, Peer>} */
    this.held = new Map();
    /** @type {Map<string, {sealed: Sealed, got: Set<string>, sent: Map<string, number>}>} own messages that not everybody can have yet */
    this.own = new Map();
    /** @type {Map<string, number>} when each peer last spoke or was spoken to, monotonic ms */
    this.spoke = new Map();
    /** @type {Map<Peer, string[]>} */
    this.came = new Map();
    /** @type {readonly Person[]} */
    this.people = [];
    /** @type {readonly string[]} */
    this.allowed = [];
    /** Whether there are more sessions than direct paths. */
    this.crowded = false;
    this.count = 0;
    this.stopped = false;
    /** @type {number | undefined} */
    this.regroupTimer = undefined;
    /** @type {number | undefined} */
    this.againTimer = undefined;
    /** @type {number | undefined} */
    this.gotTimer = undefined;
  }

  /** The people of the roster: a ladder begins for each session that is worth one, and ends with it. @param {readonly Person[]} people */
  follow(people) {
    if (this.stopped) return;
    this.people = people;
    const self = this.parts.self();
    const others = people.flatMap(({ peerId, name, verified, sessions }) =>
      isSamePerson(peerId, self.peerId)
        ? []
        : sessions.map((session) => ({ peerId, session, name, verified })).filter((remote) => keyOf(remote) !== keyOf(self)));
    const isHeld = (/** @type {{peerId: string, session: string}} */ remote) => this.held.has(keyOf(remote));
    const wanted = new Map(worth(others, this.spoke, isHeld).map((remote) => [keyOf(remote), remote]));
    const present = new Set(others.map(keyOf));
    for (const peer of [...this.held.values()]) {
      peer.present = present.has(peer.key);
      const stays = wanted.has(peer.key) || (peer.present ? peer.invited : peer.rung !== null);
      if (!stays) this.drop(peer);
    }
    this.crowded = others.length > CEILING;
    for (const [key, remote] of wanted) {
      const known = this.held.get(key);
      if (known) known.remote = remote;
      else this.begin(remote);
    }
  }

  /** @param {import("./peer.js").Remote} remote */
  begin(remote) {
    const { parts, world } = this;
    const peer = new Peer({
      world, remote,
      room: parts.room, self: parts.self, kinds: parts.kinds, relay: parts.relay,
      allowed: this.allowed,
      signal: parts.signal, sign: parts.sign, verify: parts.verify,
      nextCall: () => (this.count += 1),
      heard: (from, frame, rung) => this.heard(from, frame, rung),
      used: (from, rung, before) => this.used(from, rung, before),
      changed: parts.changed,
    });
    this.held.set(peer.key, peer);
    peer.start();
    return peer;
  }

  /** @param {Peer} peer */
  drop(peer) {
    peer.stop();
    this.held.delete(peer.key);
    this.came.delete(peer);
  }

  /** Which direct rungs may be used from now on. @param {readonly string[]} allowed */
  allow(allowed) {
    this.allowed = allowed;
    for (const peer of this.held.values()) peer.allow(allowed);
  }

  /** A signal that the node passed on; somebody the roster does not name yet may call first. @param {import("./wire/codec.js").Frame} frame */
  signalled(frame) {
    const remote = { peerId: String(frame["peer_id"]), session: String(frame["session"]) };
    const peer = this.held.get(keyOf(remote)) ?? this.stranger(remote, frame);
    peer?.signalled(frame.type, frame["payload"]);
  }

  /**
   * A session that this page did not call itself: it is taken in while there is room, and told when there is none.
   * @param {{peerId: string, session: string}} remote
   * @param {import("./wire/codec.js").Frame} frame
   */
  stranger(remote, frame) {
    const person = this.people.find(({ peerId }) => peerId === remote.peerId);
    const call = checkCall(frame["payload"]);
    if (frame.type !== "offer" || !call || !person?.sessions.includes(remote.session)) return undefined;
    if (keyOf(remote) === keyOf(this.parts.self())) return undefined;
    if (this.held.size >= MOST) {
      const payload = { rung: call.rung, attempt: call.attempt, refused: FULL };
      this.parts.signal({ type: "answer", target_peer_id: remote.peerId, target_session: remote.session, payload });
      return undefined;
    }
    const peer = this.begin({ ...remote, name: person.name, verified: person.verified });
    peer.invited = true;
    return peer;
  }

  /** In a large room direct paths go to those who talk. @param {string} peerId */
  talked(peerId) {
    this.spoke.set(peerId, this.world.now());
    if (!this.crowded || this.stopped || this.regroupTimer !== undefined) return;
    this.regroupTimer = this.world.setTimeout(() => {
      this.regroupTimer = undefined;
      this.follow(this.people);
    }, REGROUP_MS);
  }

  /**
   * An own message goes to everybody in direct reach now, and to those who come into reach before the node has it.
   * @param {string} id
   * @param {Sealed} sealed
   */
  say(id, sealed) {
    this.own.delete(id);
    this.own.set(id, { sealed, got: new Set(), sent: new Map() });
    for (const old of [...this.own.keys()].slice(0, Math.max(0, this.own.size - MOST_KEPT))) this.own.delete(old);
    for (const peer of this.held.values()) this.tell(peer, id);
    if (this.againTimer === undefined) this.lookAgain();
  }

  /**
   * @param {Peer} peer
   * @param {string} id
   */
  tell(peer, id) {
    const mine = this.own.get(id);
    if (!mine || peer.rung === null || mine.got.has(peer.key)) return;
    mine.sent.set(peer.key, this.world.now());
    peer.send({ type: "message", ...mine.sealed });
  }

  /** A channel that was full took nothing, and a reader may have been busy: what nobody confirmed goes again, a few at once. */
  lookAgain() {
    this.againTimer = this.world.setTimeout(() => {
      this.againTimer = undefined;
      if (this.stopped || this.own.size === 0) return;
      const before = this.world.now() - AGAIN_MS;
      for (const peer of this.held.values()) {
        const missed = [...this.own].filter(([, { got, sent }]) => !got.has(peer.key) && (sent.get(peer.key) ?? 0) < before);
        for (const [id] of missed.slice(0, AT_ONCE)) this.tell(peer, id);
      }
      this.lookAgain();
    }, AGAIN_MS / 2);
  }

  /** The node has it, or refused it: everybody who lacks it reads it there. @param {string} id */
  settled(id) {
    this.own.delete(id);
  }

  /**
   * @param {Peer} peer
   * @param {string | null} rung
   * @param {string | null} before
   */
  used(peer, rung, before) {
    if (rung !== null) {
      for (const id of this.own.keys()) this.tell(peer, id);
    } else if (!peer.present) {
      queueMicrotask(() => this.follow(this.people));
    }
    this.parts.used(peer, rung, before);
  }

  /**
   * @param {Peer} peer
   * @param {import("./wire/codec.js").Frame} frame
   * @param {string} rung
   */
  heard(peer, frame, rung) {
    if (frame.type === "message") {
      const { env, sig, pk } = frame;
      this.talked(peer.remote.peerId);
      this.parts.message({ env, sig, pk }, peer.remote, rung);
    } else if (frame.type === "got") {
      for (const id of frame["ids"]) this.own.get(id)?.got.add(peer.key);
      this.parts.got(peer.remote, frame["ids"], frame["quiet"] === true);
    }
  }

  /**
   * Tells the session that its message is stored in this page.
   * @param {{peerId: string, session: string}} from
   * @param {string} id
   */
  confirm(from, id) {
    const peer = this.held.get(keyOf(from));
    if (!peer) return;
    this.came.set(peer, [...(this.came.get(peer) ?? []), id]);
    if (this.came.size > 1 || this.came.get(peer)?.length !== 1) return;
    this.gotTimer = this.world.setTimeout(() => this.tellGot(), GOT_MS);
  }

  tellGot() {
    const came = [...this.came];
    const wish = this.parts.quiet() ? { quiet: true } : {};
    this.came.clear();
    for (const [peer, ids] of came) {
      for (let from = 0; from < ids.length; from += 256) peer.send({ type: "got", ids: ids.slice(from, from + 256), ...wish });
    }
  }

  /** Whether anybody is reached directly. */
  get reached() {
    return [...this.held.values()].some(({ rung }) => rung !== null);
  }

  /** The direct paths to the sessions of one person. @param {string} peerId */
  reaches(peerId) {
    return [...this.held.values()].filter(({ remote }) => remote.peerId === peerId).map((peer) => peer.reach());
  }

  /** Looks up which addresses are in use. */
  measure() {
    for (const peer of this.held.values()) void peer.measure();
  }

  /** This device woke, or its network is another one. */
  networkChanged() {
    for (const peer of this.held.values()) peer.driver.networkChanged();
  }

  stop() {
    this.stopped = true;
    this.world.clearTimeout(this.gotTimer);
    this.world.clearTimeout(this.regroupTimer);
    this.world.clearTimeout(this.againTimer);
    for (const peer of this.held.values()) peer.stop();
    this.held.clear();
  }
}
