// The rung websocket-direct: one socket to the node, first at the page's own origin, then at the node's WebSocket port.

import { decodeFrame, encodeFrame } from "../wire/codec.js";
import { CLOSE } from "../wire/protocol.gen.js";

/** How long the first address may stay silent before the second is tried beside it. */
const SECOND_TRY_MS = 1_500;

/** Close codes after which a client does not come back by itself (docs/protocol.md). */
const FINAL = new Set(/** @type {number[]} */ ([CLOSE.POLICY, CLOSE.REPLACED, CLOSE.LABEL_IN_USE]));

/** @type {Readonly<Record<number, string>>} */
const WORDS = {
  [CLOSE.GOING_AWAY]: "the node closed it",
  [CLOSE.POLICY]: "the node refused it",
  [CLOSE.TOO_LARGE]: "a frame was too large",
  [CLOSE.RESTART]: "the node is restarting",
  [CLOSE.TRY_LATER]: "the node is busy",
  [CLOSE.REPLACED]: "this page’s place was taken by another connection",
  [CLOSE.HELLO_LATE]: "the greeting came too late",
  [CLOSE.LABEL_IN_USE]: "the name is in use",
  [CLOSE.SLOW]: "this device read too slowly",
  [CLOSE.JOIN_STALE]: "the join was out of date",
};

/** @type {import("./index.js").RungKind} */
export const websocketDirect = {
  name: "websocket-direct",
  echo: { active: 1_500, standby: 5_000 },
  window: { count: 64, bytes: 512 * 1024, alone: false },
  dial: (context, events) => new SocketDial(context, events),
};

/** A dial and, once it is welcomed, the link: the first socket that gets a challenge is kept, the other closed. */
class SocketDial {
  /**
   * @param {import("./index.js").Context} context
   * @param {import("./index.js").LinkEvents} events
   */
  constructor(context, events) {
    this.context = context;
    this.events = events;
    this.tried = 0;
    /** @type {Set<WebSocket>} */
    this.racing = new Set();
    /** @type {WebSocket | null} */
    this.chosen = null;
    this.opened = false;
    this.over = false;
    /** @type {import("../api.js").Fault | null} */
    this.refusal = null;
    /** @type {number | undefined} */
    this.timer = undefined;
    this.tryNext();
  }

  tryNext() {
    const url = this.context.socketUrls()[this.tried];
    if (this.over || this.chosen || url === undefined) return;
    this.tried += 1;
    this.context.world.clearTimeout(this.timer);
    this.timer = this.context.world.setTimeout(() => this.tryNext(), SECOND_TRY_MS);
    const socket = this.construct(url);
    if (!socket) return this.lost(null, 1006);
    this.racing.add(socket);
    socket.onmessage = ({ data }) => this.received(socket, data);
    socket.onclose = ({ code }) => this.lost(socket, code);
  }

  /** @param {string} url */
  construct(url) {
    try {
      return new this.context.world.WebSocket(url, ["egoat.1"]);
    } catch {
      return null;
    }
  }

  /**
   * @param {WebSocket} socket
   * @param {unknown} data
   */
  received(socket, data) {
    const frame = decodeFrame(data);
    if (this.over || !this.racing.has(socket)) return;
    if (!this.chosen) {
      if (frame?.type === "challenge") void this.greet(socket, frame["nonce"]);
    } else if (this.opened) {
      if (frame) this.events.frame(frame);
      else this.events.heard();
    } else if (frame?.type === "welcome") {
      this.opened = true;
      this.events.opened(frame);
    } else if (frame?.type === "fault") {
      this.refusal = { code: frame["code"], detail: frame["detail"], retry: frame["retry"] ?? null };
    }
  }

  /**
   * @param {WebSocket} socket
   * @param {string} nonce
   */
  async greet(socket, nonce) {
    this.chosen = socket;
    this.context.world.clearTimeout(this.timer);
    for (const other of this.racing) if (other !== socket) this.drop(other);
    const proof = await this.context.proof(nonce);
    if (this.over || socket.readyState !== 1) return;
    const after = this.context.cursor();
    const place = after ? { after } : {};
    socket.send(encodeFrame({ type: "hello", v: [1], room: this.context.room, ...proof, ...place }));
  }

  /**
   * @param {WebSocket | null} socket
   * @param {number} code
   */
  lost(socket, code) {
    if (this.over) return;
    if (socket) this.racing.delete(socket);
    if (this.chosen && this.chosen !== socket) return;
    if (!this.chosen) this.tryNext();
    if (!this.chosen && this.racing.size > 0) return;
    this.finish();
    if (code === CLOSE.JOIN_STALE) this.context.keepToken(null);
    const what = this.opened ? "closed" : "refused";
    const evidence = this.refusal?.detail ?? WORDS[code] ?? (this.opened ? "it broke off" : "it could not be opened");
    this.events.ended({ what, evidence, final: FINAL.has(code), code: this.refusal?.code ?? String(code) });
  }

  /** @param {object} frame */
  send(frame) {
    if (this.chosen?.readyState === 1) this.chosen.send(encodeFrame(frame));
  }

  /** A socket delivers by itself, in use or not. */
  activate() {}

  /** TCP has one way only. */
  refresh() {}

  close() {
    if (this.over) return;
    this.finish();
  }

  finish() {
    this.over = true;
    this.context.world.clearTimeout(this.timer);
    for (const socket of this.racing) this.drop(socket);
  }

  /** @param {WebSocket} socket */
  drop(socket) {
    this.racing.delete(socket);
    socket.onmessage = null;
    socket.onclose = null;
    socket.close(1000);
  }
}

/**
 * Where a socket may be opened: at the page's own origin, then at the node's WebSocket port.
 * @param {{protocol: string, host: string, hostname: string}} place
 * @param {number | null} wsPort
 */
export function socketUrls({ protocol, host, hostname }, wsPort) {
  const scheme = protocol === "https:" ? "wss:" : "ws:";
  const urls = [`${scheme}//${host}/signal`];
  if (wsPort) urls.push(`${scheme}//${hostname}:${wsPort}/signal`);
  return [...new Set(urls)];
}
