// One session of another peer: its ladder of direct paths, what was learnt on the way, and what it has of ours.

import { Driver } from "./driver.js";
import { PEER_LADDER } from "./ladder/policy.js";
import { callText, fingerprints, isPlain } from "./rungs/sdp.js";
import { attemptOf, checkCall } from "./wire/call.js";
import { isGuest } from "./wire/ids.js";

/** @typedef {import("./wire/call.js").Call} Call */
/** @typedef {{peerId: string, session: string, name: string, verified: boolean}} Remote */

/**
 * @typedef {object} PeerParts
 * @property {import("./api.js").World} world
 * @property {string} room
 * @property {() => {peerId: string, session: string}} self
 * @property {Remote} remote
 * @property {ReadonlyMap<string, import("./rungs/index.js").RungKind>} kinds
 * @property {readonly string[]} allowed
 * @property {import("./relay.js").Relay} relay
 * @property {(frame: object) => void} signal sends a frame through the node
 * @property {(text: string) => Promise<{sig: string, pk: string} | null>} sign null for a guest
 * @property {import("./verify.js").Verify} verify
 * @property {() => number} nextCall
 * @property {(peer: Peer, frame: import("./wire/codec.js").Frame, rung: string) => void} heard
 * @property {(peer: Peer, rung: string | null, before: string | null) => void} used
 * @property {() => void} changed
 */

/** A candidate that a refusal or a report says nothing about is a secret of its page: only counts are told. */
const REFUSED = "the other side does not use this path now";

export class Peer {
  /** @param {PeerParts} parts */
  constructor(parts) {
    this.parts = parts;
    this.remote = parts.remote;
    /** Whether the roster still has it; a session whose link lives is kept without. */
    this.present = true;
    /** Whether it was the other side that wanted a direct path. */
    this.invited = false;
    /** Whether the key of this peer signed the certificate of the link in use. */
    this.proof = /** @type {import("./verify.js").Proof} */ ("unknown");
    /** The addresses in use in a few words. */
    this.pair = "";
    /** @type {Map<string, Call>} offers that a dial may answer */
    this.calls = new Map();
    /** @type {Map<string, number>} the newest offer of theirs on each rung */
    this.newest = new Map();
    /** @type {Map<string, import("./rungs/webrtc-link.js").Facts>} */
    this.facts = new Map();
    /** @type {Map<string, Record<string, any>>} what the other side knows of its attempts */
    this.theirs = new Map();
    this.driver = this.makeDriver();
  }

  get key() {
    return keyOf(this.remote);
  }

  /** The rung in use, null while messages go by the node alone. */
  get rung() {
    return this.driver.state.active;
  }

  makeDriver() {
    const { kinds, allowed, world } = this.parts;
    return new Driver({
      kinds, allowed,
      config: PEER_LADDER,
      context: /** @type {any} */ (this.makeContext(world)),
      told: {
        opened: () => {},
        frame: (rung, frame) => this.parts.heard(this, frame, rung),
        roster: () => {},
        use: (rung, before) => this.parts.used(this, rung, before),
        ended: (rung, evidence) => this.report(rung, evidence),
        refused: () => {},
        changed: () => this.parts.changed(),
      },
    });
  }

  /**
   * @param {import("./api.js").World} world
   * @returns {import("./rungs/webrtc-link.js").PeerContext}
   */
  makeContext(world) {
    const { self, relay, nextCall } = this.parts;
    return {
      world,
      /** Read at each dial: a guest may have another name by then. */
      polite: () => keyOf(self()) < this.key,
      attempt: () => `${self().session}-${nextCall()}`,
      takeCall: (rung) => {
        const call = this.calls.get(rung) ?? null;
        this.calls.delete(rung);
        return call;
      },
      servers: (rung) => relay.servers(rung),
      signal: (rung, kind, payload) => this.signal(kind, { rung, ...payload }),
      sign: async (rung, kind, attempt, sdp) => (await this.parts.sign(this.text(rung, kind, attempt, sdp, true))) ?? {},
      problem: (rung, kind, call) => this.problem(rung, kind, call),
      facts: (rung, facts) => {
        this.facts.set(rung, facts);
        this.parts.changed();
      },
    };
  }

  /**
   * @param {"offer" | "answer" | "ice"} kind
   * @param {object} payload
   */
  signal(kind, payload) {
    const { peerId, session } = this.remote;
    this.parts.signal({ type: kind, target_peer_id: peerId, target_session: session, payload });
  }

  /**
   * @param {string} rung
   * @param {"offer" | "answer"} kind
   * @param {string} attempt
   * @param {string} sdp
   * @param {boolean} mine
   */
  text(rung, kind, attempt, sdp, mine) {
    const [here, there] = [keyOf(this.parts.self()), this.key];
    const [from, to] = mine ? [here, there] : [there, here];
    return callText({ room: this.parts.room, rung, attempt, kind, from, to, sdp });
  }

  /**
   * What is wrong with a description, null when it may be used: a peer with a key must have signed its certificate, so
   * that nobody on the way, the node included, can put itself between (RFC 8827, section 6.5). A guest cannot.
   * @param {string} rung
   * @param {"offer" | "answer"} kind
   * @param {Call} call
   */
  async problem(rung, kind, { attempt, sdp = "", sig, pk }) {
    if (!isPlain(sdp) || fingerprints(sdp).length !== 1) return "the other side named no single certificate";
    const text = this.text(rung, kind, attempt, sdp, false);
    const unsure = () => /** @type {const} */ ("unknown");
    const proof = await this.parts.verify(this.remote.peerId, { text, sig, pk }).catch(unsure);
    if (proof !== "bad") this.proof = proof;
    return proof === "bad" ? "the certificate is not signed by this person’s key: somebody may sit in between" : null;
  }

  /**
   * A signal from this session.
   * @param {string} kind
   * @param {unknown} payload
   */
  signalled(kind, payload) {
    const call = checkCall(payload);
    if (!call) return;
    if (call.report) this.learnTheirs(call.rung, call.report);
    const link = /** @type {any} */ (this.driver.links.get(call.rung)?.link);
    if (kind !== "offer") return link?.take(kind, call);
    if (link?.takes(call)) return link.take(kind, call);
    void this.called(call);
  }

  /**
   * An offer of a new attempt. What nobody signed ends no link that is up, and bars no later offer.
   * @param {Call} call
   */
  async called(call) {
    const bad = (await this.problem(call.rung, "offer", call)) !== null;
    if (this.driver.stopped || (bad && this.driver.links.get(call.rung)?.up)) return;
    if (!bad && this.isStale(call)) return;
    this.calls.set(call.rung, call);
    const dialled = this.driver.called(call.rung);
    this.calls.delete(call.rung);
    if (!dialled) this.signal("answer", { rung: call.rung, attempt: call.attempt, refused: REFUSED });
  }

  /** An offer older than one that was seen is of a link that is over. @param {Call} call */
  isStale({ rung, attempt }) {
    const { session, number } = attemptOf(attempt);
    if (session !== this.remote.session) return false;
    const newest = this.newest.get(rung) ?? 0;
    this.newest.set(rung, Math.max(newest, number));
    return number < newest;
  }

  /**
   * @param {string} rung
   * @param {Record<string, any>} report
   */
  learnTheirs(rung, report) {
    this.theirs.set(rung, { ...report, at: this.parts.world.now() });
    this.parts.changed();
  }

  /**
   * Tells the other side how an attempt ended here, so that both can say why.
   * @param {string} rung
   * @param {string} evidence
   */
  report(rung, evidence) {
    const facts = this.facts.get(rung);
    if (!facts || !this.present) return;
    const { step, mine, nat, errors } = facts;
    const attempt = `${this.parts.self().session}-0`;
    this.signal("ice", { rung, attempt, report: { step, mine, nat, errors, evidence } });
  }

  /** What there is to tell of the direct paths to this session. @returns {import("./peer-words.js").Reach} */
  reach() {
    const { driver, facts, theirs, proof, pair, remote } = this;
    return { session: remote.session, rows: driver.rows(), facts, theirs, proof, pair };
  }

  /** Asks the browser which pair of addresses is in use. */
  async measure() {
    const link = /** @type {any} */ (this.driver.current()?.link);
    const found = link ? await link.pair().catch(() => null) : null;
    this.pair = found ? pairWords(found) : "";
  }

  /** @param {object} frame */
  send(frame) {
    this.driver.current()?.link.send(frame);
  }

  /** @param {readonly string[]} allowed */
  allow(allowed) {
    this.driver.allow(allowed);
  }

  start() {
    this.driver.start();
  }

  stop() {
    this.driver.stop();
  }
}

/** @param {{local: string, remote: string, protocol: string}} pair */
const pairWords = ({ local, remote, protocol }) => `${local} ↔ ${remote}, ${protocol.toUpperCase()}`;

/** @param {{peerId: string, session: string}} who */
export const keyOf = ({ peerId, session }) => `${peerId} ${session}`;

/** Whether two ids are tabs of one verified person; guests of one label may be two people. @param {string} one @param {string} other */
export const isSamePerson = (one, other) => one === other && !isGuest(one);
