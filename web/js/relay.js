// Where this node's STUN and TURN answer, and the credentials that open them for a while (RFC 8489, RFC 8656).

import { request } from "./api.js";

/** @typedef {{stun: string[], turn: string[], username: string, credential: string, ttl: number}} Turn */

/** Credentials are renewed before a dial once this share of their life is over. */
const OLD = 0.5;

/** A node that gave none is asked again after this. */
const NONE_MS = 60_000;

export class Relay {
  /**
   * @param {import("./api.js").World} world
   * @param {() => string | null} token
   */
  constructor(world, token) {
    this.world = world;
    this.token = token;
    /** @type {Turn | null} */
    this.turn = null;
    this.since = -Infinity;
  }

  /** What a welcome told; nothing where this page had too many of late, so what it has still counts. @param {unknown} told */
  take(told) {
    const turn = checkTurn(told);
    if (!turn && this.turn && this.world.now() - this.since < this.turn.ttl * 1000) return;
    this.turn = turn;
    this.since = this.world.now();
  }

  /**
   * What a connection of this rung is made with, or why it cannot be made: direct ones never know of the relay, and
   * relayed ones use nothing else.
   * @param {string} rung
   * @returns {Promise<{config: RTCConfiguration} | {missing: string}>}
   */
  async servers(rung) {
    if (rung === "webrtc-stun") {
      const urls = this.turn?.stun ?? [];
      return { config: { iceServers: urls.length > 0 ? [{ urls }] : [] } };
    }
    await this.renew();
    if (!this.turn || this.turn.turn.length === 0) return { missing: "this node has no relay (TURN)" };
    const { turn: urls, username, credential } = this.turn;
    return { config: { iceServers: [{ urls, username, credential }], iceTransportPolicy: "relay" } };
  }

  async renew() {
    const token = this.token();
    const good = this.turn ? this.turn.ttl * 1000 * OLD : NONE_MS;
    if (!token || this.world.now() - this.since < good) return;
    const told = await request(this.world, "/turn", { body: {}, token }).catch(() => null);
    if (told) this.take(told);
  }
}

/**
 * @param {unknown} told
 * @returns {Turn | null}
 */
export function checkTurn(told) {
  if (typeof told !== "object" || told === null) return null;
  const { stun, turn, username, credential, ttl } = /** @type {Record<string, unknown>} */ (told);
  const urls = (/** @type {unknown} */ list) => (Array.isArray(list) ? list.filter((url) => /^(stun|turn)s?:/.test(String(url))) : []);
  if (typeof username !== "string" || typeof credential !== "string" || !Number.isFinite(ttl)) return null;
  return { stun: urls(stun), turn: urls(turn), username, credential, ttl: Number(ttl) };
}
