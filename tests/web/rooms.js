// One room without a browser, for tests: a node's log, rungs held by the test, and somebody else who signs.
import { openIdentity } from "../../web/js/identity.js";
import { Room } from "../../web/js/room.js";
import { Streams } from "../../web/js/streams.js";
import { verifier } from "../../web/js/verify.js";
import { fakeProfile, fakeRung, fakeWorld, settle } from "./fakes.js";

export const LOG = "00000000000000aa";
export const WS = "websocket-direct";
export const POLL = "http-polling";
export const STUN = "webrtc-stun";
export const TURN = "webrtc-turn";
export const PLACE = { protocol: "http:", host: "node:8080", hostname: "node", origin: "http://node:8080" };
const { crypto } = globalThis;
export const guest = { crypto: /** @type {any} */ ({}), indexedDB: undefined };
export const keyed = { crypto, indexedDB: undefined };

/** A node's log that `/history` reads. */
export function fakeLog() {
  const log = {
    id: LOG,
    floor: 0,
    /** @type {any[]} */
    rows: [],
    add(/** @type {any} */ sealed) {
      const row = { seq: log.rows.length + 1, at: 5, ...sealed };
      log.rows.push(row);
      return { type: "message", ...row };
    },
    answer(/** @type {string} */ path) {
      const query = new URL(path, "http://node").searchParams;
      const place = { log_id: log.id, floor: log.floor, head: log.rows.length };
      const cursor = query.get("after") || query.get("before");
      const [of, seq] = cursor ? cursor.split(".") : [log.id, "0"];
      if (of !== log.id) return { ...place, items: [], reset: { ...place, reason: "log" } };
      const items = query.has("after")
        ? log.rows.filter((row) => row.seq > Number(seq))
        : log.rows.filter((row) => !cursor || row.seq <= Number(seq)).slice(-60).reverse();
      return { ...place, items, next: "", more: false };
    },
  };
  return log;
}

/**
 * @param {any} [browser]
 * @param {readonly any[]} [earlier] what the log holds already
 * @param {ReturnType<typeof fakeProfile>} [profile] what the tabs of this browser share
 * @param {{name?: string, identity?: any, strategy?: string, shares?: boolean}} [who]
 */
export async function start(browser = keyed, earlier = [], profile = fakeProfile(), who = {}) {
  const log = fakeLog();
  for (const sealed of earlier) log.add(sealed);
  const world = fakeWorld((path) => (path.startsWith("/history") ? log.answer(path) : null));
  const [ws, poll] = [fakeRung(WS), fakeRung(POLL, { alone: true })];
  const [stun, turn] = [fakeRung(STUN), fakeRung(TURN)];
  const identity = who.identity ?? (await openIdentity(browser));
  const room = new Room({
    world: /** @type {any} */ (world), room: "r", name: who.name ?? "Ann", session: "0".repeat(16), identity,
    kinds: new Map([[STUN, stun], [TURN, turn], [WS, ws], [POLL, poll]]), strategy: who.strategy ?? "auto", forced: null, place: PLACE, verify: verifier(crypto.subtle), own: new Set(), mark: "",
    shares: () => who.shares ?? true, changed: () => {}, keepOwn: () => {}, store: profile.store,
    streams: new Streams({ locks: profile.locks, channel: profile.channel() }),
  });
  room.start();
  await settle();
  return { room, world, ws, poll, stun, turn, log, identity, profile };
}

/** @param {Awaited<ReturnType<typeof start>>} parts */
export const welcome = ({ room, world, log }, roster = []) => ({
  type: "welcome", v: 1, peer_id: room.peerId, token: "t", log_id: log.id, head: log.rows.length, floor: log.floor,
  now: world.wall(), roster, turn: null,
});

/**
 * @param {any} [browser]
 * @param {any[]} [roster]
 * @param {object} [who]
 */
export async function joined(browser, roster = [], who = {}) {
  const parts = await start(browser, [], undefined, who);
  parts.ws.last.events.opened(welcome(parts, roster));
  await settle();
  return parts;
}

/** @param {Room} room */
export const shown = (room) => room.timeline.lines.map(({ text, state }) => `${text} ${state}`);
export const ack = (/** @type {any} */ env, seq = 1) => ({ type: "ack", id: env.id, seq, log_id: LOG, at: 7 });
export const words = (/** @type {any} */ link) => link.said.map((/** @type {any} */ { body }) => body.text);

/** Somebody else, who signs. */
export async function stranger() {
  const pair = /** @type {CryptoKeyPair} */ (await crypto.subtle.generateKey({ name: "Ed25519" }, true, ["sign", "verify"]));
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const { peerIdOf } = await import("../../web/js/wire/ids.js");
  const sender = peerIdOf(new Uint8Array(await crypto.subtle.digest("SHA-256", raw)));
  let n = 0;
  const says = async (/** @type {string} */ text, claimed = sender) => {
    n += 1;
    const hlc = `018bcfe56b${n.toString(16).padStart(2, "0")}-0000`;
    const env = JSON.stringify({ id: `m${n}`, room: "r", sender: claimed, stream: "1".repeat(16), n, kind: "text", hlc, body: { text, name: "Bob" } });
    const sig = await crypto.subtle.sign({ name: "Ed25519" }, pair.privateKey, new TextEncoder().encode(`egoat.1|${env}`));
    return { env, sig: Buffer.from(sig).toString("base64url"), pk: Buffer.from(raw).toString("base64url") };
  };
  return Object.assign(says, { peerId: sender });
}
