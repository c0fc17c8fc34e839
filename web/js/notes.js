// Lines of the timeline that are no messages: who came and went, a change of path, a log that was replaced.

import { format } from "./hlc.js";

/** @typedef {{key: string, hlc: string, at: number, what: "joined" | "left" | "renamed" | "path" | "log", text: string}} Note */

const MOST = 200;
const SETTLED_MS = 2_000;

/** @type {Readonly<Record<string, string>>} */
export const PATH_NAMES = {
  "webrtc-stun": "Direct", "webrtc-turn": "Relay", "websocket-direct": "WebSocket", "http-polling": "HTTP polling",
  "lan-broadcast": "Local network",
};

/** @type {Readonly<Record<string, string>>} */
const LOG_WORDS = {
  below_floor: "The node no longer keeps the messages in between.",
  above_head: "The node’s history was set back. Lines marked “kept here” are on this device only.",
};
const NEW_LOG = "The node’s history was replaced. Lines marked “kept here” are on this device only.";

export class Notes {
  /**
   * @param {() => number} nodeNow
   * @param {import("./api.js").World} world
   */
  constructor(nodeNow, world) {
    this.nodeNow = nodeNow;
    this.world = world;
    this.count = 0;
    /** @type {string | null} */
    this.shownPath = null;
    /** @type {Map<string, string | null>} the path to each session as the timeline last told it */
    this.peerPaths = new Map();
    /** @type {Note[]} */
    this.list = [];
  }

  /** @param {import("./roster.js").News} news */
  person(news) {
    const { name } = news.person;
    if (news.what === "joined") this.add("joined", `${name} joined`);
    else if (news.what === "left") this.add("left", `${name} left`);
    else this.add("renamed", `${news.before} is now ${name}`);
  }

  /** @param {string} reason why the node refused our place in its log */
  log(reason) {
    this.add("log", LOG_WORDS[reason] ?? NEW_LOG);
  }

  /**
   * Notes a change of path once it has held for a moment; the first path is no news.
   * @param {string | null} rung
   * @param {() => string | null} current
   * @param {() => void} changed
   */
  path(rung, current, changed) {
    if (rung === null) return;
    if (this.shownPath === null) {
      this.world.setTimeout(() => {
        this.shownPath ??= current();
      }, SETTLED_MS);
      return;
    }
    this.world.setTimeout(() => {
      const before = this.shownPath;
      if (current() !== rung || before === rung) return;
      this.shownPath = rung;
      this.add("path", `Path: ${PATH_NAMES[before ?? ""] ?? before} → ${PATH_NAMES[rung] ?? rung}`);
      changed();
    }, SETTLED_MS);
  }

  /**
   * The same for the path to one session of somebody; without a direct path it is the node's.
   * @param {string} name
   * @param {string} key of the session
   * @param {string | null} rung
   * @param {() => string | null} current
   * @param {() => void} changed
   */
  peerPath(name, key, rung, current, changed) {
    this.world.setTimeout(() => {
      const before = this.peerPaths.get(key);
      if (current() !== rung || before === rung || (before === undefined && rung === null)) return;
      this.peerPaths.set(key, rung);
      if (before === undefined) return;
      const [from, to] = [before, rung].map((path) => (path === null ? "node" : PATH_NAMES[path] ?? path));
      this.add("path", `${name}: ${from} → ${to}`);
      changed();
    }, SETTLED_MS);
  }

  /**
   * @param {Note["what"]} what
   * @param {string} text
   */
  add(what, text) {
    this.count += 1;
    const at = this.nodeNow();
    this.list.push({ key: `note-${this.count}`, hlc: format(at, 0xffff), at, what, text });
    if (this.list.length > MOST) this.list.shift();
  }
}
