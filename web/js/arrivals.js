// Which paths brought each message to this page, and when: every copy, first to last. A bounded memory, never stored.

/**
 * `from` is the peer whose device sent a direct copy, null when it came from the node.
 * @typedef {{rung: string, at: number, from: string | null}} Copy
 */

const MOST_MESSAGES = 4_000;
const MOST_COPIES = 32;

export class Arrivals {
  constructor() {
    /** @type {Map<string, Copy[]>} */
    this.copies = new Map();
  }

  /**
   * A direct copy is noted once it was checked, but counts from when it came.
   * @param {string} key of the message
   * @param {Copy} copy
   */
  note(key, copy) {
    const known = this.copies.get(key) ?? [];
    if (known.some(({ rung, from }) => rung === copy.rung && from === copy.from) || known.length >= MOST_COPIES) return;
    this.copies.set(key, [...known, copy].sort((one, other) => one.at - other.at));
    if (this.copies.size <= MOST_MESSAGES) return;
    const [oldest] = this.copies.keys();
    if (oldest !== undefined) this.copies.delete(oldest);
  }

  /** The copies of one message in the order they came. @param {string} key @returns {readonly Copy[]} */
  of(key) {
    return this.copies.get(key) ?? [];
  }
}
