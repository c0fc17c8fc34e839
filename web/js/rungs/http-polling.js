// The rung http-polling: a signed join, then requests only; a long poll reads by cursor while this rung is in use.

import { Refused, request, whyNot } from "../api.js";
import { utf8Length } from "../wire/bytes.js";
import { checkFrame, checkRoster } from "../wire/codec.js";
import { LIMITS } from "../wire/protocol.gen.js";

const HOLD_S = 4;
const JOIN_MS = 8_000;
const POLL_MS = 9_000;

/** A node that is briefly away may be asked again this often before the link counts as lost. */
const PATIENCE = 3;

/** A body holds so many JSON keys and bytes: a message has four keys, and the rest of the body needs some too. */
const WINDOW = { count: Math.floor(LIMITS.JSON_KEYS / 4) - 14, bytes: LIMITS.BODY_BYTES - 4096, alone: true };

/** @type {import("./index.js").RungKind} */
export const httpPolling = {
  name: "http-polling",
  echo: { active: 1_500, standby: 20_000 },
  window: WINDOW,
  dial: (context, events) => new PollingLink(context, events),
};

/** A request was given up because the network is another one: it is made again at once. */
class Renewed extends Error {}

/** What a body's JSON may hold beside the frames. */
const OTHER_KEYS = 16;
const OTHER_BYTES = 4_096;

/**
 * How many of these frames fit into one body, at least one.
 * @param {readonly object[]} frames
 */
function fitting(frames) {
  let keys = LIMITS.JSON_KEYS - OTHER_KEYS;
  let bytes = LIMITS.BODY_BYTES - OTHER_BYTES;
  let count = 0;
  for (const frame of frames) {
    keys -= keysOf(frame);
    bytes -= utf8Length(JSON.stringify(frame)) + 1;
    if (count > 0 && (keys < 0 || bytes < 0)) break;
    count += 1;
  }
  return Math.min(count, LIMITS.POLL_FRAMES);
}

/** @param {unknown} value @returns {number} */
function keysOf(value) {
  if (typeof value !== "object" || value === null) return 0;
  const inner = Object.values(value).reduce((sum, each) => sum + keysOf(each), 0);
  return inner + (Array.isArray(value) ? 0 : Object.keys(value).length);
}

class PollingLink {
  /**
   * @param {import("./index.js").Context} context
   * @param {import("./index.js").LinkEvents} events
   */
  constructor(context, events) {
    this.context = context;
    this.events = events;
    this.stop = new AbortController();
    /** @type {Set<AbortController>} the requests under way */
    this.asking = new Set();
    this.opened = false;
    this.active = false;
    this.polling = false;
    this.posting = false;
    /** @type {object[]} */
    this.out = [];
    this.rosterTag = "";
    this.receiptsTag = "";
    void this.open();
  }

  get over() {
    return this.stop.signal.aborted;
  }

  async open() {
    try {
      const welcome = (await this.resume()) ? null : await this.join();
      if (this.over) return;
      this.opened = true;
      this.events.opened(welcome);
    } catch (error) {
      this.end(error);
    }
  }

  /** Whether the token at hand still opens the door. */
  async resume() {
    if (!this.context.token()) return false;
    try {
      await this.poll({ after: null, wait: 0, frames: [] }, JOIN_MS);
      return true;
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 401) throw error;
      return false;
    }
  }

  /** Joins with the token at hand, which may have ended; afresh when the node does not know it. */
  async join() {
    try {
      return await this.joinOnce();
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 401 || !this.context.token()) throw error;
      this.context.keepToken(null);
      return await this.joinOnce();
    }
  }

  async joinOnce() {
    const { room, signs } = this.context;
    const ask = (/** @type {string} */ path, /** @type {object} */ body) => this.ask(path, { body, deadline: JOIN_MS });
    const nonce = signs ? String((await ask("/join/challenge", { room }))["nonce"]) : "";
    const answer = await ask("/join", { room, ...(await this.context.proof(nonce)) });
    const welcome = checkFrame({ ...answer, type: "welcome", v: 1 });
    if (!welcome) throw new Refused(502, { code: "internal", detail: "the answer was not the node's", retry: 2 });
    this.context.keepToken(welcome["token"]);
    return welcome;
  }

  /**
   * @param {string} path
   * @param {{body: object, token?: string | null, deadline: number}} options
   */
  async ask(path, options) {
    const one = new AbortController();
    this.asking.add(one);
    if (this.over) one.abort(this.stop.signal.reason);
    try {
      return await request(this.context.world, path, { ...options, signal: one.signal });
    } finally {
      this.asking.delete(one);
    }
  }

  /**
   * @param {{after: string | null, wait: number, frames: object[], roster?: string, receipts?: string}} body
   * @param {number} deadline
   */
  async poll(body, deadline) {
    if (!this.context.token()) await this.join();
    const token = this.context.token();
    const answer = await this.ask("/poll", { body, token, deadline });
    if (typeof answer["token"] === "string") this.context.keepToken(answer["token"]);
    if (this.over || !this.opened) return answer;
    this.events.heard();
    const frames = Array.isArray(answer["frames"]) ? answer["frames"] : [];
    for (const value of frames) {
      const frame = checkFrame(value);
      if (frame) this.events.frame(frame);
    }
    return answer;
  }

  /** @param {boolean} active */
  activate(active) {
    this.active = active;
    this.rosterTag = "";
    this.receiptsTag = "";
    if (active) void this.read();
  }

  /** A request that the old network swallowed would be waited for until its deadline. */
  refresh() {
    if (!this.opened) return;
    for (const one of this.asking) one.abort(new Renewed("the network is another one"));
  }

  async read() {
    if (this.polling) return;
    this.polling = true;
    let after = this.context.cursor();
    let failures = 0;
    while (this.active && !this.over) {
      try {
        const frames = this.context.word();
        const asked = { after, wait: HOLD_S, roster: this.rosterTag, receipts: this.receiptsTag, frames };
        const answer = await this.poll(asked, HOLD_S * 1000 + POLL_MS);
        after = typeof answer["next"] === "string" ? answer["next"] : this.context.cursor();
        this.takeRoster(answer["roster"]);
        this.takeReceipts(answer["receipts"]);
        failures = 0;
      } catch (error) {
        failures += 1;
        if (!(await this.bear(error, failures))) break;
      }
    }
    this.polling = false;
  }

  /** @param {unknown} roster */
  takeRoster(roster) {
    if (this.over || !this.active || typeof roster !== "object" || roster === null) return;
    const { tag, peers } = /** @type {Record<string, unknown>} */ (roster);
    this.rosterTag = typeof tag === "string" ? tag : "";
    this.events.roster(checkRoster(peers));
  }

  /** A poll answers with all of them where a socket brings what is new. @param {unknown} receipts */
  takeReceipts(receipts) {
    if (this.over || !this.active || typeof receipts !== "object" || receipts === null) return;
    const frame = checkFrame({ ...receipts, type: "receipts" });
    if (!frame) return;
    this.receiptsTag = typeof frame["tag"] === "string" ? frame["tag"] : "";
    this.events.frame(frame);
  }

  /** @param {object} frame */
  send(frame) {
    this.out.push(frame);
    if (!this.posting) void this.post();
  }

  async post() {
    this.posting = true;
    let failures = 0;
    await Promise.resolve();
    while (this.out.length > 0 && !this.over) {
      const frames = this.out.splice(0, fitting(this.out));
      try {
        await this.poll({ after: null, wait: 0, frames }, POLL_MS);
        failures = 0;
      } catch (error) {
        failures += 1;
        this.out = [...frames, ...this.out];
        if (!(await this.bear(error, failures))) break;
      }
    }
    this.posting = false;
  }

  /**
   * Waits out a refusal for the moment and renews a token that has ended; ends the link otherwise.
   * @param {unknown} error
   * @param {number} failures
   */
  async bear(error, failures) {
    if (this.over) return false;
    if (error instanceof Renewed && failures <= PATIENCE) return true;
    if (!(error instanceof Refused) || failures > PATIENCE) return this.end(error);
    try {
      if (error.status === 401) {
        await this.join();
        return true;
      }
      if (error.fault.retry === null) return this.end(error);
      await this.pause(Math.min(error.fault.retry, 5) * 1000);
      return !this.over;
    } catch (again) {
      return this.end(again);
    }
  }

  /** @param {number} ms */
  pause(ms) {
    return new Promise((resolve) => {
      this.context.world.setTimeout(() => resolve(undefined), ms);
    });
  }

  /** @param {unknown} error */
  end(error) {
    if (this.over) return false;
    this.halt();
    const refused = error instanceof Refused ? error : null;
    const final = refused !== null && !this.opened && [400, 403].includes(refused.status);
    const code = refused?.fault.code ?? "unreachable";
    this.events.ended({ what: this.opened ? "closed" : "refused", evidence: whyNot(error), final, code });
    return false;
  }

  close() {
    this.active = false;
    this.halt();
  }

  halt() {
    this.stop.abort();
    for (const one of this.asking) one.abort(this.stop.signal.reason);
  }
}
