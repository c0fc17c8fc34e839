// Perfect negotiation of one RTCPeerConnection over signaling (W3C WebRTC, section 10.7): either side may offer at any
// time, the polite one yields; candidates trickle in batches; what got lost on the way is said again.

import { candidateKind } from "./sdp.js";

/**
 * A signal's payload. `call` numbers the offers of one page, so that an old one that comes late is told from a new one.
 * @typedef {{rung: string, attempt: string, call?: number, sdp?: string, sig?: string, pk?: string,
 *            candidates?: RTCIceCandidateInit[], refused?: string, report?: object}} Call
 */

/**
 * @typedef {object} Negotiated
 * @property {RTCPeerConnection} pc
 * @property {import("../api.js").World} world
 * @property {boolean} polite
 * @property {string} attempt the name of this attempt when this page offers first
 * @property {(kind: "offer" | "answer" | "ice", payload: object) => void} signal
 * @property {(kind: "offer" | "answer", attempt: string, sdp: string) => Promise<object>} sign the signature fields
 * @property {(kind: "offer" | "answer", call: Call) => Promise<string | null>} problem what is wrong with a description
 * @property {(what: string, evidence: string) => void} failed
 * @property {(candidate: string, mine: boolean) => void} candidate one was gathered here or came from there
 */

/** Candidates gathered within this time go in one signal. */
const BATCH_MS = 40;

/** An offer without an answer is said again after these pauses. */
const AGAIN_MS = [2_000, 4_000, 8_000];
const MOST_EARLY = 64;

/** No page has more addresses than this; what it sends beyond is not tried. */
const MOST_CANDIDATES = 256;

export class Negotiation {
  /** @param {Negotiated} parts */
  constructor(parts) {
    this.parts = parts;
    this.pc = parts.pc;
    this.world = parts.world;
    this.attempt = parts.attempt;
    this.agreed = false;
    this.making = false;
    this.begun = false;
    this.over = false;
    this.answered = "";
    this.added = 0;
    /** @type {Promise<void>} candidates go after the description that they belong to */
    this.described = Promise.resolve();
    /** @type {RTCIceCandidateInit[]} */
    this.batch = [];
    /** @type {RTCIceCandidateInit[]} */
    this.early = [];
    /** @type {Promise<void>} */
    this.taking = Promise.resolve();
    /** @type {number | undefined} */
    this.batchTimer = undefined;
    /** @type {number | undefined} */
    this.againTimer = undefined;
    this.pc.onicecandidate = ({ candidate }) => candidate?.candidate && this.gathered(candidate);
    this.pc.onnegotiationneeded = () => void (this.begun && this.offer());
  }

  /** Offers now, and whenever the connection needs it from now on. */
  begin() {
    if (this.begun) return;
    this.begun = true;
    void this.offer();
  }

  /** Whether an offer belongs to this connection: to its attempt, or to one that no side has answered yet. @param {Call} call */
  takes(call) {
    return call.attempt === this.attempt || !this.agreed;
  }

  async offer() {
    if (this.making || this.over || this.pc.signalingState !== "stable") return;
    this.making = true;
    try {
      await this.pc.setLocalDescription();
      this.described = this.describe("offer");
      await this.described;
      this.sayAgain(0);
    } catch (error) {
      this.fail("failed", `this browser made no offer (${error})`);
    } finally {
      this.making = false;
    }
  }

  /** @param {"offer" | "answer"} kind */
  async describe(kind) {
    const sdp = this.pc.localDescription?.sdp;
    if (!sdp || this.over || this.pc.localDescription?.type !== kind) return;
    const { attempt } = this;
    const signature = await this.parts.sign(kind, attempt, sdp);
    if (!this.over && attempt === this.attempt) this.parts.signal(kind, { attempt, sdp, ...signature });
  }

  /** @param {number} tries */
  sayAgain(tries) {
    const pause = AGAIN_MS[tries];
    this.world.clearTimeout(this.againTimer);
    if (pause === undefined) return;
    this.againTimer = this.world.setTimeout(() => {
      if (this.over || this.pc.signalingState !== "have-local-offer") return;
      void this.describe("offer");
      this.sayAgain(tries + 1);
    }, pause);
  }

  /**
   * @param {string} kind
   * @param {Call} call
   */
  take(kind, call) {
    this.taking = this.taking
      .then(() => (this.over ? undefined : this.takeNow(kind, call)))
      .catch((error) => this.fail("failed", `the two browsers did not agree (${error})`));
  }

  /**
   * @param {string} kind
   * @param {Call} call
   */
  async takeNow(kind, call) {
    if (kind === "offer") return this.offered(call);
    if (call.attempt !== this.attempt) return;
    if (kind === "answer") return this.answeredBy(call);
    for (const candidate of call.candidates ?? []) await this.add(candidate);
  }

  /** @param {Call} call */
  async offered(call) {
    if (call.sdp !== undefined && call.sdp === this.answered) return this.describe("answer");
    const collides = this.making || this.pc.signalingState !== "stable";
    if (collides && !this.parts.polite) return this.describe("offer");
    if (!(await this.believes("offer", call))) return;
    if (call.attempt !== this.attempt) this.batch = [];
    this.attempt = call.attempt;
    this.begun = true;
    await this.pc.setRemoteDescription({ type: "offer", sdp: call.sdp ?? "" });
    this.agreed = true;
    this.answered = call.sdp ?? "";
    await this.drain();
    await this.pc.setLocalDescription();
    this.described = this.describe("answer");
    await this.described;
  }

  /** @param {Call} call */
  async answeredBy(call) {
    if (call.refused !== undefined) return this.agreed ? undefined : this.fail("refused", call.refused);
    if (this.pc.signalingState !== "have-local-offer" || !(await this.believes("answer", call))) return;
    await this.pc.setRemoteDescription({ type: "answer", sdp: call.sdp ?? "" });
    this.agreed = true;
    this.world.clearTimeout(this.againTimer);
    await this.drain();
  }

  /**
   * @param {"offer" | "answer"} kind
   * @param {Call} call
   */
  async believes(kind, call) {
    const problem = await this.parts.problem(kind, call);
    if (problem !== null && !this.agreed) this.fail("refused", problem);
    return problem === null && !this.over;
  }

  /** @param {RTCIceCandidateInit} candidate */
  async add(candidate) {
    this.added += 1;
    if (this.added > MOST_CANDIDATES) return;
    this.parts.candidate(candidate.candidate ?? "", false);
    if (!this.pc.remoteDescription) {
      if (this.early.length < MOST_EARLY) this.early.push(candidate);
      return;
    }
    await this.pc.addIceCandidate(candidate).catch(() => undefined);
  }

  async drain() {
    for (const candidate of this.early.splice(0)) await this.pc.addIceCandidate(candidate).catch(() => undefined);
  }

  /** @param {RTCIceCandidate} candidate */
  gathered(candidate) {
    if (candidateKind(candidate.candidate) === "") return;
    this.parts.candidate(candidate.candidate, true);
    this.batch.push(candidate.toJSON());
    if (this.batch.length > 1) return;
    const { attempt, batch } = this;
    this.batchTimer = this.world.setTimeout(() => {
      void this.described.then(() => {
        const candidates = batch.splice(0);
        if (!this.over && attempt === this.attempt) this.parts.signal("ice", { attempt, candidates });
      });
    }, BATCH_MS);
  }

  /**
   * @param {string} what
   * @param {string} evidence
   */
  fail(what, evidence) {
    if (!this.over) this.parts.failed(what, evidence);
  }

  stop() {
    this.over = true;
    this.world.clearTimeout(this.batchTimer);
    this.world.clearTimeout(this.againTimer);
    this.pc.onicecandidate = null;
    this.pc.onnegotiationneeded = null;
  }
}
