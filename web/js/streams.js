// Which outboxes of this profile have a living tab: each tab holds a Web Lock for its own stream as long as it lives.

/**
 * @typedef {{request: (name: string, options: {signal?: AbortSignal}, hold: () => Promise<void>) => Promise<unknown>,
 *            query: () => Promise<{held?: {name?: string}[]}>}} Locks
 * @typedef {{postMessage: (message: unknown) => void, close: () => void,
 *            addEventListener: (type: "message", heard: (event: {data: unknown}) => void) => void}} Channel
 */

const NAME = "egoat.outbox";

/**
 * The streams whose messages a living tab sends; none can be told where there are no locks.
 * @param {Pick<Locks, "query"> | undefined} locks
 * @returns {Promise<Set<string>>}
 */
export async function living(locks) {
  const names = ((await locks?.query())?.held ?? []).map(({ name }) => name ?? "");
  return new Set(names.filter((name) => name.startsWith(`${NAME}.`)).map((name) => name.slice(NAME.length + 1)));
}

export class Streams {
  /**
   * @param {{locks: Locks | undefined, channel: Channel | null}} browser `locks` and channels are missing on plain HTTP
   *   off localhost and in old browsers
   */
  constructor({ locks, channel }) {
    this.locks = locks;
    this.channel = channel;
    this.ended = new AbortController();
    /** @type {Set<string>} */
    this.known = new Set();
    /** @type {(stream: string) => void} */
    this.heard = () => {};
    channel?.addEventListener("message", ({ data }) => {
      if (typeof data === "string") this.heard(data);
    });
  }

  /** Holds the own stream until `stop`. @param {string} stream */
  hold(stream) {
    this.known.add(stream);
    void this.request(stream, () => this.untilStopped());
  }

  /** Tells the other tabs that messages wait in this stream. @param {string} stream */
  announce(stream) {
    this.channel?.postMessage(stream);
  }

  /**
   * Calls once no other tab holds the stream, which this tab holds from then on: at once when its tab is gone, or where
   * there are no locks to tell; a stream that was asked for before is not asked for again.
   * @param {string} stream
   * @param {() => void} take
   */
  whenFree(stream, take) {
    if (this.known.has(stream)) return;
    this.known.add(stream);
    if (!this.locks) return take();
    void this.request(stream, () => {
      take();
      return this.untilStopped();
    });
  }

  /** @returns {Promise<void>} */
  untilStopped() {
    return new Promise((resolve) => {
      this.ended.signal.addEventListener("abort", () => resolve());
    });
  }

  /**
   * @param {string} stream
   * @param {() => Promise<void>} hold
   */
  async request(stream, hold) {
    try {
      await this.locks?.request(`${NAME}.${stream}`, { signal: this.ended.signal }, hold);
    } catch {
      // Stopped while it waited.
    }
  }

  stop() {
    this.ended.abort();
    this.channel?.close();
  }
}
