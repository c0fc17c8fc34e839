// Puts into the node's log what came directly and is missing there, so that nothing hangs on its author's tab.

/** @typedef {import("./wire/codec.js").Sealed} Sealed */

/** The author's own copy gets this long to reach the log; then any holder sends it, each a little later than the other. */
const MISSING_MS = 3_000;
const SPREAD_MS = 1_000;
const AGAIN_MS = 5_000;
const LOOK_MS = 500;
const MOST = 1_000;

/** What a node does not take after so many tries is let go; few go at once, so that own messages keep their rate. */
const MOST_TRIES = 4;
const AT_ONCE = 4;

export class Custody {
  /**
   * @param {import("./api.js").World} world
   * @param {(sealed: Sealed) => boolean} send false while no path to the node is up
   */
  constructor(world, send) {
    this.world = world;
    this.send = send;
    /** @type {Map<string, {id: string, sealed: Sealed, due: number, tries: number}>} */
    this.held = new Map();
    /** @type {number | undefined} */
    this.timer = undefined;
  }

  /**
   * A signed envelope that the log has not shown yet; an unsigned one only its author may bring.
   * @param {string} key
   * @param {string} id
   * @param {Sealed} sealed
   */
  hold(key, id, sealed) {
    if (!sealed.sig || this.held.has(key) || this.held.size >= MOST) return;
    const jitter = ((this.world.random(1)[0] ?? 0) / 256) * SPREAD_MS;
    this.held.set(key, { id, sealed, due: this.world.now() + MISSING_MS + jitter, tries: 0 });
    if (this.held.size === 1) this.lookLater();
  }

  /** The log has it. @param {string} key */
  release(key) {
    this.held.delete(key);
  }

  /** The node has it, or refused it for good. @param {string} id */
  settled(id) {
    for (const [key, held] of this.held) if (held.id === id) this.held.delete(key);
  }

  lookLater() {
    this.world.clearTimeout(this.timer);
    this.timer = this.world.setTimeout(() => this.look(), LOOK_MS);
  }

  look() {
    const now = this.world.now();
    let room = AT_ONCE;
    for (const [key, held] of this.held) {
      if (held.due > now || room <= 0) continue;
      if (held.tries >= MOST_TRIES) this.held.delete(key);
      else if (this.send(held.sealed)) Object.assign(held, { due: now + AGAIN_MS, tries: held.tries + 1 });
      room -= 1;
    }
    if (this.held.size > 0) this.lookLater();
  }

  stop() {
    this.world.clearTimeout(this.timer);
    this.held.clear();
  }
}
