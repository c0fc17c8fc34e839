// The part of the outbox that survives the tab: own messages that no node has acked yet, in IndexedDB.

import { openDatabase, soon, within } from "./idb.js";

const STORE = "messages";

/**
 * One own message that waits, or was refused for good. `stream` tells whose outbox it belongs to.
 * @typedef {{room: string, sender: string, id: string, stream: string, hlc: string, name: string, kind: string,
 *            text: string | null, sealed: import("./wire/codec.js").Sealed, reason: string | null}} Kept
 */

/**
 * Finds out by doing it: writes a row, reads it back, takes it away.
 * @param {IDBFactory | undefined} factory
 * @returns {Promise<OutboxStore | null>} null where this browser keeps nothing
 */
export async function openOutbox(factory) {
  if (!factory) return null;
  try {
    return await soon(tried(factory));
  } catch {
    return null;
  }
}

/** @param {IDBFactory} factory */
async function tried(factory) {
  const make = (/** @type {IDBDatabase} */ database) =>
    database.createObjectStore(STORE, { keyPath: ["room", "sender", "id"] });
  const store = new OutboxStore(await openDatabase(factory, "egoat-outbox", make));
  const trial = { ...NOTHING, id: crypto.getRandomValues(new Uint32Array(2)).join("-") };
  await store.put(trial);
  const found = (await store.inRoom("")).some(({ id }) => id === trial.id);
  await store.drop(trial);
  if (!found) throw new Error("the store gave nothing back");
  return store;
}

/** @type {Kept} */
const NOTHING = {
  room: "", sender: "", id: "", stream: "", hlc: "", name: "", kind: "", text: null, sealed: { env: "" }, reason: null,
};

export class OutboxStore {
  /** @param {IDBDatabase} database */
  constructor(database) {
    this.database = database;
  }

  /** @param {Kept} kept replaces an earlier form of the same message */
  async put(kept) {
    await within(this.database, STORE, "readwrite", (store) => store.put(kept));
  }

  /** @param {{room: string, sender: string, id: string}} message */
  async drop({ room, sender, id }) {
    await within(this.database, STORE, "readwrite", (store) => store.delete([room, sender, id]));
  }

  /**
   * Everything that waits in a room, in the author's order.
   * @param {string} room
   * @returns {Promise<Kept[]>}
   */
  async inRoom(room) {
    const all = IDBKeyRange.bound([room], [room, []]);
    const found = await within(this.database, STORE, "readonly", (store) => store.getAll(all));
    return found.sort((one, other) => (one.hlc < other.hlc || (one.hlc === other.hlc && one.id < other.id) ? -1 : 1));
  }
}
