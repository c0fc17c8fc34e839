// One data channel to one session of a peer: dialled or answered, up once an application echo came back on it.

import { encodeFrame } from "../wire/codec.js";
import { checkDirect } from "../wire/direct.js";
import { LIMITS } from "../wire/protocol.gen.js";
import { Negotiation } from "./negotiation.js";
import { counted, natKind } from "./sdp.js";

/** @typedef {import("./negotiation.js").Call} Call */

/**
 * @typedef {object} PeerContext what these rungs need to reach one session of a peer
 * @property {import("../api.js").World} world
 * @property {() => boolean} polite whether this page yields when both offer at once: it is the smaller (peer, session)
 * @property {(rung: string) => string} attempt a name for an attempt that this page begins
 * @property {(rung: string) => Call | null} takeCall the offer that this dial answers, if it answers one
 * @property {(rung: string) => Promise<{config: RTCConfiguration} | {missing: string}>} servers
 * @property {(rung: string, kind: "offer" | "answer" | "ice", payload: object) => void} signal
 * @property {(rung: string, kind: "offer" | "answer", attempt: string, sdp: string) => Promise<object>} sign
 * @property {(rung: string, kind: "offer" | "answer", call: Call) => Promise<string | null>} problem
 * @property {(rung: string, facts: Facts) => void} facts what this dial has learnt so far
 */

/**
 * What a dial knows: the step it reached, the candidates of both sides, and what servers answered.
 * @typedef {{step: Step, mine: import("./sdp.js").CandidateCount, theirs: import("./sdp.js").CandidateCount,
 *            nat: "none" | "cone" | "symmetric" | null, errors: readonly string[]}} Facts
 * @typedef {"begun" | "offered" | "agreed" | "checking" | "connected" | "channel" | "up"} Step
 */

/** How long the polite side waits for the other's offer before it makes its own. */
const YIELD_MS = 400;

/** A connection that ICE lost for this long, or that is silent, is given new candidates, at most this often. */
const LOST_MS = 700;
const RESTART_EVERY_MS = 5_000;

/** Above this many bytes on their way a chat message is not added: the log carries it. */
const MOST_BUFFERED = 1024 * 1024;
const MOST_ERRORS = 6;

export class WebrtcLink {
  /**
   * @param {string} rung
   * @param {PeerContext} context
   * @param {import("./index.js").LinkEvents} events
   */
  constructor(rung, context, events) {
    this.rung = rung;
    this.context = context;
    this.events = events;
    this.world = context.world;
    this.over = false;
    this.opened = false;
    this.restartedAt = -Infinity;
    /** @type {RTCPeerConnection | null} */
    this.pc = null;
    /** @type {Negotiation | null} */
    this.negotiation = null;
    /** @type {RTCDataChannel | null} */
    this.channel = null;
    /** @type {RTCDataChannel | null} */
    this.bulk = null;
    /** @type {[string, Call][]} */
    this.early = [];
    /** @type {string[]} */
    this.gathered = [];
    /** @type {Facts} */
    this.facts = { step: "begun", mine: {}, theirs: {}, nat: null, errors: [] };
    /** @type {number | undefined} */
    this.timer = undefined;
    this.call = context.takeCall(rung);
    void this.open();
  }

  async open() {
    const found = await this.context.servers(this.rung).catch(() => ({ missing: "this node told no relay" }));
    if (this.over) return;
    if ("missing" in found) return this.end("unavailable", found.missing);
    try {
      this.connect(found.config);
    } catch (error) {
      this.end("unavailable", `this browser opens no such connection (${error})`);
    }
  }

  /** @param {RTCConfiguration} config */
  connect(config) {
    const { world, context, rung } = this;
    if (!world.RTCPeerConnection) throw new Error("no WebRTC");
    const pc = new world.RTCPeerConnection(config);
    const polite = context.polite();
    this.pc = pc;
    this.negotiation = new Negotiation({
      pc, world,
      polite,
      attempt: context.attempt(rung),
      signal: (kind, payload) => context.signal(rung, kind, payload),
      sign: (kind, attempt, sdp) => context.sign(rung, kind, attempt, sdp),
      problem: (kind, call) => context.problem(rung, kind, call),
      failed: (what, evidence) => this.end(what, evidence),
      candidate: (line, mine) => this.candidate(line, mine),
    });
    pc.oniceconnectionstatechange = () => this.iceChanged(pc.iceConnectionState);
    pc.onicecandidateerror = (event) => this.serverError(event);
    pc.onconnectionstatechange = () => pc.connectionState === "failed" && this.lostIce();
    this.openChannels(pc);
    if (this.call) this.negotiation.take("offer", this.call);
    for (const [kind, call] of this.early.splice(0)) this.negotiation.take(kind, call);
    if (!this.call && !polite) this.negotiation.begin();
    else this.timer = world.setTimeout(() => this.negotiation?.begin(), this.call ? 10 * YIELD_MS : YIELD_MS);
  }

  /** Messages have a channel of their own, so that nothing large stands before them. @param {RTCPeerConnection} pc */
  openChannels(pc) {
    this.channel = pc.createDataChannel("ctl", { negotiated: true, id: 0, ordered: true });
    this.bulk = pc.createDataChannel("bulk", { negotiated: true, id: 1, ordered: true });
    this.channel.onopen = () => {
      this.reach("channel");
      this.write({ type: "ping", t: Math.round(this.world.now()) });
    };
    this.channel.onmessage = ({ data }) => this.received(data);
    this.channel.onclose = () => this.end("closed", "the other side ended it");
  }

  /** Whether an offer belongs to this link rather than to a new one. @param {Call} call */
  takes(call) {
    return this.negotiation === null || this.negotiation.takes(call);
  }

  /**
   * A signal from the other side.
   * @param {string} kind
   * @param {Call} call
   */
  take(kind, call) {
    if (this.negotiation) this.negotiation.take(kind, call);
    else if (this.early.length < 16) this.early.push([kind, call]);
  }

  /** @param {unknown} data */
  received(data) {
    if (this.over) return;
    const frame = checkDirect(data);
    if (frame === null) return this.events.heard();
    if (frame.type === "ping") {
      this.events.heard();
      return this.write({ type: "pong", t: frame["t"] });
    }
    if (frame.type === "pong" && !this.opened) {
      this.opened = true;
      this.reach("up");
      return this.events.opened(null);
    }
    if (this.opened) this.events.frame(frame);
    else this.events.heard();
  }

  /** @param {object} frame */
  send(frame) {
    const large = (this.channel?.bufferedAmount ?? 0) > MOST_BUFFERED;
    if (!large || /** @type {{type?: string}} */ (frame).type === "ping") this.write(frame);
  }

  /** @param {object} frame */
  write(frame) {
    if (this.channel?.readyState !== "open") return;
    const text = encodeFrame(frame);
    if (text.length > LIMITS.FRAME_BYTES) return;
    try {
      this.channel.send(text);
    } catch (error) {
      queueMicrotask(() => this.end("failed", `the channel takes no message (${error})`));
    }
  }

  /** A channel delivers by itself, in use or not. */
  activate() {}

  /** The network is another one, or the link is silent: look for another way to the same place. */
  refresh() {
    const now = this.world.now();
    if (this.over || !this.pc || !this.negotiation?.agreed || now - this.restartedAt < RESTART_EVERY_MS) return;
    this.restartedAt = now;
    this.pc.restartIce();
  }

  /** @param {RTCIceConnectionState} state */
  iceChanged(state) {
    if (state === "checking") this.reach("checking");
    if (state === "connected" || state === "completed") this.reach("connected");
    if (state !== "disconnected") return;
    this.world.clearTimeout(this.timer);
    this.timer = this.world.setTimeout(() => this.pc?.iceConnectionState === "disconnected" && this.refresh(), LOST_MS);
  }

  /** No pair of candidates works, or none does any more. */
  lostIce() {
    const fresh = this.world.now() - this.restartedAt < RESTART_EVERY_MS;
    if (!this.opened || fresh) return this.end("no-path", "no pair of addresses answered");
    this.refresh();
  }

  /**
   * @param {string} line
   * @param {boolean} mine
   */
  candidate(line, mine) {
    if (mine) this.gathered.push(line);
    const side = mine ? "mine" : "theirs";
    this.learn({ [side]: counted(this.facts[side], line), nat: natKind(this.gathered) });
  }

  /** @param {RTCPeerConnectionIceErrorEvent} event */
  serverError({ url, errorCode, errorText }) {
    const words = `${url}: ${errorText || "no answer"} (${errorCode})`;
    const { errors } = this.facts;
    if (errors.length < MOST_ERRORS && !errors.includes(words)) this.learn({ errors: [...errors, words] });
  }

  /** @param {Step} step */
  reach(step) {
    if (this.facts.step !== "up") this.learn({ step });
  }

  /** @param {Partial<Facts>} more */
  learn(more) {
    if (this.over) return;
    this.facts = { ...this.facts, ...more };
    this.context.facts(this.rung, this.facts);
  }

  /**
   * The pair of candidates in use and what went over the channel (W3C webrtc-stats); null while there is none.
   * @returns {Promise<{local: string, remote: string, protocol: string, rtt: number | null} | null>}
   */
  async pair() {
    const report = await this.pc?.getStats();
    if (!report) return null;
    const stats = [...report.values()];
    const chosen = stats.find(({ type }) => type === "transport")?.selectedCandidatePairId;
    const pair = report.get(chosen ?? "");
    const [local, remote] = [report.get(pair?.localCandidateId), report.get(pair?.remoteCandidateId)];
    if (!local || !remote) return null;
    const rtt = typeof pair.currentRoundTripTime === "number" ? pair.currentRoundTripTime * 1000 : null;
    return { local: local.candidateType, remote: remote.candidateType, protocol: local.relayProtocol ?? local.protocol, rtt };
  }

  /**
   * @param {string} what
   * @param {string} evidence
   */
  end(what, evidence) {
    if (this.over) return;
    const { opened } = this;
    this.close();
    this.events.ended({ what: opened ? "closed" : what, evidence, final: false, code: what });
  }

  close() {
    if (this.over) return;
    this.over = true;
    this.world.clearTimeout(this.timer);
    this.negotiation?.stop();
    for (const channel of [this.channel, this.bulk]) if (channel) channel.onopen = channel.onmessage = channel.onclose = null;
    if (!this.pc) return;
    this.pc.oniceconnectionstatechange = this.pc.onicecandidateerror = this.pc.onconnectionstatechange = null;
    this.pc.close();
  }
}
