// Reads the room's log over HTTP: the newest page when a room opens, older pages on demand, and what a hole lacks.

import { request } from "./api.js";
import { firstGap } from "./coverage.js";
import { follow, olderThan, reset } from "./timeline.js";
import { writeCursor } from "./wire/codec.js";
import { LIMITS } from "./wire/protocol.gen.js";

const FIRST_PAGE = 60;
const PAGE = LIMITS.HISTORY_DEFAULT;
/** An ack is often ahead of the messages before it, which are on their way. */
const PATIENCE_MS = 500;
const AGAIN_MS = 3_000;

/** What one item of `/history?full=1` carries, as far as it is used here. */
/** @typedef {{seq: number, at: number, env: string, sig?: string, pk?: string}} Copy */

export class History {
  /**
   * @param {{world: import("./api.js").World, room: string, timeline: import("./timeline.js").Timeline,
   *          take: (copy: Copy, older: boolean) => void, replaced: (reason: string) => void,
   *          changed: () => void}} parts
   */
  constructor({ world, room, timeline, take, replaced, changed }) {
    this.world = world;
    this.room = room;
    this.timeline = timeline;
    this.take = take;
    this.replaced = replaced;
    this.changed = changed;
    this.loaded = false;
    this.loading = false;
    this.filling = false;
    this.failed = false;
    this.stopped = false;
  }

  /** Whether the oldest message that the node keeps is shown. */
  get complete() {
    return this.loaded && olderThan(this.timeline) === null;
  }

  /** The newest page; asked again until it came. */
  async start() {
    if (this.loading || this.loaded || this.stopped) return;
    const page = await this.read({ before: "", limit: FIRST_PAGE });
    if (page && !page["reset"]) {
      this.loaded = true;
      follow(this.timeline, placeOf(page));
      this.takeAll(page, true);
    } else if (!this.stopped) {
      this.world.setTimeout(() => void this.start(), AGAIN_MS);
    }
    this.changed();
    await this.fill();
  }

  /** One more page of what came before. */
  async older() {
    const from = olderThan(this.timeline);
    if (from === null || this.timeline.logId === null || !this.loaded || this.loading) return;
    const page = await this.read({ before: writeCursor(this.timeline.logId, from), limit: PAGE });
    if (page?.["reset"]) this.replace(page["reset"]);
    else if (page) this.takeAll(page, true);
    this.changed();
  }

  /** Reads what is missing between two held stretches, oldest hole first, unless the link brings it in a moment. */
  async fill() {
    if (this.filling || !this.gap()) return;
    this.filling = true;
    await new Promise((resolve) => this.world.setTimeout(() => resolve(undefined), PATIENCE_MS));
    for (let gap = this.gap(); gap && !this.stopped; gap = this.gap()) {
      if (!(await this.fillFrom(gap))) break;
    }
    this.filling = false;
    if (this.gap() && !this.stopped) this.world.setTimeout(() => void this.fill(), AGAIN_MS);
    this.changed();
  }

  gap() {
    return this.loaded ? firstGap(this.timeline.spans) : null;
  }

  /**
   * @param {import("./coverage.js").Span} gap
   * @returns {Promise<boolean>} whether that brought something
   */
  async fillFrom(gap) {
    const { logId } = this.timeline;
    if (logId === null) return false;
    const page = await this.ask({ after: writeCursor(logId, gap.from), limit: LIMITS.HISTORY_PAGE });
    if (!page) return false;
    if (page["reset"]) this.replace(page["reset"]);
    else this.takeAll(page, false);
    const left = this.gap();
    return left === null || left.from !== gap.from || left.to !== gap.to;
  }

  /** @param {{reason: string, floor: number, head: number, log_id: string}} told */
  replace(told) {
    reset(this.timeline, placeOf(told));
    this.loaded = false;
    this.replaced(told.reason);
    void this.start();
  }

  /**
   * @param {Record<string, any>} page
   * @param {boolean} older
   */
  takeAll(page, older) {
    const items = Array.isArray(page["items"]) ? page["items"] : [];
    for (const item of items) {
      if (Number.isInteger(item?.seq) && typeof item.env === "string") this.take(item, older);
    }
  }

  /** @param {Record<string, string | number>} query */
  async read(query) {
    this.loading = true;
    this.changed();
    const page = await this.ask(query);
    this.loading = false;
    return page;
  }

  /** @param {Record<string, string | number>} query */
  async ask(query) {
    const asked = new URLSearchParams({ room: this.room, full: "1" });
    for (const [name, value] of Object.entries(query)) asked.set(name, String(value));
    try {
      const page = await request(this.world, `/history?${asked}`);
      this.failed = false;
      return page;
    } catch {
      this.failed = true;
      return null;
    }
  }
}

/** @param {Record<string, any>} told */
const placeOf = (told) => ({
  logId: String(told["log_id"]),
  floor: Number(told["floor"]) || 0,
  head: Number(told["head"]) || 0,
});
