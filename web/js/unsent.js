// What waits in a room on this device and in no open tab: what forgetting the room loses.

import { living } from "./streams.js";

/** @typedef {Pick<import("./outbox-store.js").OutboxStore, "drop" | "inRoom">} Store */

export class Unsent {
  /**
   * @param {Promise<Store | null>} store
   * @param {Pick<import("./streams.js").Locks, "query"> | undefined} locks
   */
  constructor(store, locks) {
    this.store = store;
    this.locks = locks;
  }

  /** @param {string} room @returns {Promise<number>} how many messages would be lost */
  async count(room) {
    return (await this.rows(room)).length;
  }

  /** Deletes them; rejects when the browser does not. @param {string} room */
  async drop(room) {
    const store = await this.store;
    for (const row of await this.rows(room)) await store?.drop(row);
  }

  /** @param {string} room */
  async rows(room) {
    const found = (await (await this.store)?.inRoom(room)) ?? [];
    const open = found.length ? await living(this.locks) : new Set();
    return found.filter(({ stream }) => !open.has(stream));
  }
}
