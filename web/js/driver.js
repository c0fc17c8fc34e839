// The shell of one ladder: performs what step() decides, asks for echoes, and feeds back what happened.

import { answered, beat, fresh, heard, qualityOf } from "./echo.js";
import { isGood } from "./ladder/quality.js";
import { ladder } from "./ladder/state.js";
import { step } from "./ladder/step.js";
import { CLOSE } from "./wire/protocol.gen.js";

/** @typedef {import("./rungs/index.js").RungKind} RungKind */

/**
 * @typedef {object} Heard what the driver tells its owner
 * @property {(rung: string, welcome: import("./wire/codec.js").Frame | null) => void} opened
 * @property {(rung: string, frame: import("./wire/codec.js").Frame) => void} frame
 * @property {(rows: import("./roster.js").RosterRow[]) => void} roster
 * @property {(rung: string | null, before: string | null) => void} use
 * @property {(rung: string, evidence: string) => void} [ended] a dial or a link is over, and not by our wish
 * @property {(rung: string, ending: import("./rungs/index.js").Ending) => void} refused the node does not want us back
 * @property {() => void} changed something that is shown
 */

/**
 * @typedef {{link: import("./rungs/index.js").Link, number: number, up: boolean, since: number,
 *            echo: import("./echo.js").Echo, sampledAt: number}} Held
 */

/**
 * @typedef {object} PathRow how one rung stands, for people
 * @property {string} name
 * @property {import("./ladder/state.js").Rung} rung
 * @property {boolean} active
 * @property {number} since monotonic ms when the dial or the link began; 0 when there is none
 * @property {import("./ladder/quality.js").Quality | null} quality
 * @property {boolean} allowed whether the path chosen here may be this one
 * @property {string | null} barred why the node does not want this rung, until something changes
 */

const BEAT_MS = 500;
const SAMPLE_MS = 5_000;
const RESTART = String(CLOSE.RESTART);

export class Driver {
  /**
   * @param {{kinds: ReadonlyMap<string, RungKind>, config: import("./ladder/policy.js").Config,
   *          allowed: readonly string[], context: import("./rungs/index.js").Context, told: Heard}} parts
   */
  constructor({ kinds, config, allowed, context, told }) {
    this.kinds = kinds;
    this.allowed = allowed;
    this.context = context;
    this.world = context.world;
    this.told = told;
    this.state = ladder(config);
    /** @type {Map<string, Held>} */
    this.links = new Map();
    /** @type {Map<string, number>} timers of links that have ended for many at once and are not yet told of */
    this.keptBack = new Map();
    /** @type {Map<string, string>} */
    this.barred = new Map();
    /** @type {import("./ladder/step.js").Event[]} */
    this.waiting = [];
    this.busy = false;
    this.stopped = false;
    this.count = 0;
    /** @type {number | undefined} */
    this.wakeTimer = undefined;
    /** @type {number | undefined} */
    this.beatTimer = undefined;
  }

  start() {
    this.feed({ type: "start", allowed: this.allowed });
    this.beatLater();
  }

  stop() {
    this.stopped = true;
    this.world.clearTimeout(this.wakeTimer);
    this.world.clearTimeout(this.beatTimer);
    for (const name of [...this.keptBack.keys(), ...this.links.keys()]) this.hangUp(name);
  }

  /** The network is another one, or this device woke: forget rests, and ask the links whether they still live. */
  networkChanged() {
    if (this.barred.size > 0) {
      this.barred.clear();
      this.feed({ type: "strategy_changed", allowed: this.allowed });
    }
    for (const { link, up } of this.links.values()) if (up) link.refresh();
    this.feed({ type: "network_changed" });
    this.askAll();
  }

  /** The other end dials this rung: whether it is dialled here too. @param {string} name */
  called(name) {
    const { count } = this;
    this.feed({ type: "called", rung: name });
    return this.count > count && this.links.has(name);
  }

  /** Another strategy. @param {readonly string[]} allowed */
  allow(allowed) {
    this.allowed = allowed;
    this.feed({ type: "strategy_changed", allowed: allowed.filter((rung) => !this.barred.has(rung)) });
  }

  /** Ends every link and climbs afresh, for instance under another name. */
  rejoin() {
    this.barred.clear();
    this.feed({ type: "strategy_changed", allowed: [] });
    this.feed({ type: "strategy_changed", allowed: this.allowed });
  }

  /** @param {import("./ladder/step.js").Event} event */
  feed(event) {
    this.waiting.push(event);
    if (this.busy) return;
    this.busy = true;
    try {
      for (let next = this.waiting.shift(); next && !this.stopped; next = this.waiting.shift()) this.advance(next);
    } finally {
      this.busy = false;
    }
    if (!this.stopped) this.told.changed();
  }

  /** @param {import("./ladder/step.js").Event} event */
  advance(event) {
    const before = this.state.active;
    const now = this.world.now();
    const { state, actions, wake } = step(this.state, event, now);
    this.state = state;
    for (const action of actions) this.perform(action, before);
    this.world.clearTimeout(this.wakeTimer);
    this.wakeTimer = this.world.setTimeout(() => this.feed({ type: "tick" }), Math.max(10, wake - now));
  }

  /**
   * @param {import("./ladder/step.js").Action} action
   * @param {string | null} before
   */
  perform(action, before) {
    switch (action.type) {
      case "dial":
        return this.dial(action.rung);
      case "hang_up":
        return this.hangUp(action.rung);
      case "use":
        for (const [name, { link, up }] of this.links) if (up) link.activate(name === action.rung);
        return this.told.use(action.rung, before);
    }
  }

  /** @param {string} name */
  dial(name) {
    const kind = this.kinds.get(name);
    if (!kind) return this.feed({ type: "failed", rung: name, what: "unknown", evidence: "this page has no such rung" });
    this.hangUp(name);
    const number = (this.count += 1);
    const mine = () => this.links.get(name)?.number === number && !this.stopped;
    const now = this.world.now();
    const link = kind.dial(this.context, {
      opened: (welcome) => mine() && this.opened(name, welcome),
      frame: (frame) => mine() && this.received(name, frame),
      roster: (rows) => mine() && this.told.roster(rows),
      heard: () => mine() && this.update(name, (echo) => heard(echo, this.world.now())),
      ended: (ending) => mine() && this.ended(name, ending),
    });
    this.links.set(name, { link, number, up: false, since: now, echo: fresh(now), sampledAt: -Infinity });
  }

  /** @param {string} name */
  hangUp(name) {
    this.world.clearTimeout(this.keptBack.get(name));
    this.keptBack.delete(name);
    this.links.get(name)?.link.close();
    this.links.delete(name);
  }

  /**
   * @param {string} name
   * @param {import("./wire/codec.js").Frame | null} welcome
   */
  opened(name, welcome) {
    const held = this.links.get(name);
    if (!held) return;
    const now = this.world.now();
    this.links.set(name, { ...held, up: true, since: now, echo: fresh(now) });
    this.told.opened(name, welcome);
    this.feed({ type: "opened", rung: name });
    this.beatOne(name);
  }

  /**
   * @param {string} name
   * @param {import("./wire/codec.js").Frame} frame
   */
  received(name, frame) {
    const now = this.world.now();
    if (frame.type === "pong") {
      this.update(name, (echo) => answered(echo, frame["t"], now));
      this.sample(name);
    } else {
      this.update(name, (echo) => heard(echo, now));
    }
    this.told.frame(name, frame);
  }

  /**
   * @param {string} name
   * @param {import("./rungs/index.js").Ending} ending
   */
  ended(name, { what, evidence, final, code }) {
    const up = this.links.get(name)?.up ?? false;
    this.links.delete(name);
    const spread = (this.world.random(1)[0] ?? 0) / 256;
    if (!up) this.feed({ type: "failed", rung: name, what, evidence, spread });
    else if (code === RESTART) this.keepBack({ type: "closed", rung: name, evidence, spread });
    else this.feed({ type: "closed", rung: name, evidence, spread });
    this.told.ended?.(name, evidence);
    if (!final) return;
    this.barred.set(name, evidence);
    this.feed({ type: "strategy_changed", allowed: this.allowed.filter((rung) => !this.barred.has(rung)) });
    this.told.refused(name, { what, evidence, final, code });
  }

  /**
   * A restart ends many sockets at once; their pages do not all turn to another rung in one instant.
   * @param {{type: "closed", rung: string, evidence: string, spread: number}} closed
   */
  keepBack(closed) {
    const tell = () => this.keptBack.delete(closed.rung) && this.feed(closed);
    this.keptBack.set(closed.rung, this.world.setTimeout(tell, closed.spread * this.state.config.crowd));
  }

  beatLater() {
    this.world.clearTimeout(this.beatTimer);
    if (this.stopped) return;
    this.beatTimer = this.world.setTimeout(() => {
      for (const name of [...this.links.keys()]) this.beatOne(name);
      this.beatLater();
    }, BEAT_MS);
  }

  /** Asks every link now. What was silent before stays silent since then: news of the network comes often. */
  askAll() {
    for (const [name, held] of this.links) {
      if (held.up) this.update(name, (echo) => ({ ...echo, askedAt: -Infinity }));
      this.beatOne(name);
    }
  }

  /** @param {string} name */
  beatOne(name) {
    const held = this.links.get(name);
    const kind = this.kinds.get(name);
    if (!held?.up || !kind) return;
    const every = name === this.state.active ? kind.echo.active : kind.echo.standby;
    const { echo, ask, dead } = beat(held.echo, every, this.world.now());
    held.echo = echo;
    if (ask === null && echo.asked?.counted) held.link.refresh();
    if (dead) {
      held.link.close();
      this.ended(name, { what: "closed", evidence: "nothing came in for 4 s", final: false, code: "silent" });
    } else if (ask !== null) {
      held.link.send({ type: "ping", t: ask });
    }
    if (echo.asked?.counted) this.sample(name);
  }

  /** @param {string} name */
  sample(name) {
    const held = this.links.get(name);
    const now = this.world.now();
    const quality = held ? qualityOf(held.echo) : null;
    if (!held || !quality || now - held.sampledAt < SAMPLE_MS) return;
    held.sampledAt = now;
    this.feed({ type: "sampled", rung: name, good: isGood(quality) });
  }

  /**
   * @param {string} name
   * @param {(echo: import("./echo.js").Echo) => import("./echo.js").Echo} change
   */
  update(name, change) {
    const held = this.links.get(name);
    if (held) held.echo = change(held.echo);
  }

  /**
   * Whether a better rung is in use: it tells what changes in order, and what another tells beside it may be older.
   * @param {string} name
   */
  isSpare(name) {
    const places = this.state.rungs.map((rung) => rung.name);
    const { active } = this.state;
    return active !== null && places.indexOf(active) < places.indexOf(name);
  }

  /** The link in use and how much may be under way on it. */
  current() {
    const name = this.state.active;
    const held = name === null ? undefined : this.links.get(name);
    const kind = name === null ? undefined : this.kinds.get(name);
    return held?.up && kind ? { number: held.number, link: held.link, window: kind.window } : null;
  }

  /** @returns {PathRow[]} */
  rows() {
    return this.state.rungs.map((rung) => {
      const held = this.links.get(rung.name);
      return {
        name: rung.name,
        rung,
        active: this.state.active === rung.name,
        since: held?.since ?? 0,
        quality: held?.up ? qualityOf(held.echo) : null,
        barred: this.barred.get(rung.name) ?? null,
        allowed: this.allowed.includes(rung.name),
      };
    });
  }
}
