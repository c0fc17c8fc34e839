// Keeps a room's unacked messages in the profile, and brings back those whose tab is gone.

/** @typedef {import("./outbox-store.js").Kept} Kept */
/** @typedef {import("./timeline.js").Message} Message */
/** @typedef {import("./wire/codec.js").Sealed} Sealed */

/** What the keeper needs of `OutboxStore`. */
/** @typedef {Pick<import("./outbox-store.js").OutboxStore, "put" | "drop" | "inRoom">} Store */

/**
 * @typedef {object} KeeperParts
 * @property {string} room
 * @property {string} stream this tab's own
 * @property {Promise<Store | null>} store null where this browser keeps nothing: messages then live as long as the tab
 * @property {Pick<import("./streams.js").Streams, "hold" | "announce" | "whenFree" | "stop"> & {heard: (stream: string) => void}} streams
 * @property {(kept: Kept) => void} adopt sends it from here on
 * @property {(kept: Kept) => void} refused shows it as refused
 */

export class Keeper {
  /** @param {KeeperParts} parts */
  constructor(parts) {
    this.parts = parts;
    /** @type {Map<string, Kept>} what this page put into the store or took over from it */
    this.kept = new Map();
    /** Whether what waits survives this tab; true until the store says otherwise. */
    this.durable = true;
    /** @type {Promise<unknown>} */
    this.work = Promise.resolve();
  }

  start() {
    const { streams, stream } = this.parts;
    streams.hold(stream);
    streams.heard = (other) => this.watch(other);
    void this.bringBack();
  }

  async bringBack() {
    const store = await this.parts.store;
    this.durable = store !== null;
    const found = await this.read();
    for (const kept of found) {
      if (kept.reason !== null) this.show(kept);
      else this.watch(kept.stream);
    }
  }

  /** @returns {Promise<Kept[]>} */
  async read() {
    try {
      return (await (await this.parts.store)?.inRoom(this.parts.room)) ?? [];
    } catch {
      return [];
    }
  }

  /** @param {string} stream of another tab, which is waited for */
  watch(stream) {
    this.parts.streams.whenFree(stream, () => void this.takeOver(stream));
  }

  /** @param {string} stream whose tab is gone */
  async takeOver(stream) {
    for (const kept of await this.read()) {
      if (kept.stream !== stream || kept.reason !== null || this.kept.has(keyOf(kept))) continue;
      this.kept.set(keyOf(kept), kept);
      this.parts.adopt(kept);
    }
  }

  /** @param {Kept} kept */
  show(kept) {
    if (this.kept.has(keyOf(kept))) return;
    this.kept.set(keyOf(kept), kept);
    this.parts.refused(kept);
  }

  /**
   * @param {Message} message
   * @param {Sealed} sealed
   */
  keep({ sender, id, hlc, name, kind, text }, sealed) {
    const { room, stream, streams } = this.parts;
    const kept = { room, sender, id, stream, hlc, name, kind, text, sealed, reason: null };
    this.kept.set(keyOf(kept), kept);
    this.then(async (store) => {
      await store.put(kept);
      streams.announce(stream);
    });
  }

  /**
   * @param {{sender: string, id: string}} message refused for good
   * @param {string} reason
   */
  refuse(message, reason) {
    const known = this.kept.get(keyOf(message));
    if (!known) return;
    const kept = { ...known, reason };
    this.kept.set(keyOf(message), kept);
    this.then((store) => store.put(kept));
  }

  /** @param {{sender: string, id: string}} message the node has it, or its author took it back */
  drop(message) {
    const known = this.kept.get(keyOf(message));
    if (!known) return;
    this.kept.delete(keyOf(message));
    this.then((store) => store.drop(known));
  }

  /** One after the other, so that what came last is what stays. @param {(store: Store) => Promise<void>} act */
  then(act) {
    this.work = this.work
      .then(async () => {
        const store = await this.parts.store;
        if (store) await act(store);
      })
      .catch(() => {
        this.durable = false;
      });
  }

  stop() {
    this.parts.streams.stop();
  }
}

/** @param {{sender: string, id: string}} message */
const keyOf = ({ sender, id }) => `${sender}\n${id}`;
