/**
 * How far the others are with one's own messages: what the node tells of each session in its log, and what direct paths
 * confirmed before the log had it. A peer counts once, however many sessions it has; one's own peer never. Pure.
 *
 * @module
 */

/** @typedef {{peer_id: string, session: string, got: number, read: number}} ReceiptRow */
/** @typedef {{got: number, read: number}} Mark the log up to `got` is in a page of the peer, up to `read` it was on screen */

/**
 * `marks` by peer, about the log `logId`; `direct` by message id: the peers who have it from browser to browser.
 * Changed in place; `version` tells that something did.
 * @typedef {{logId: string | null, marks: Map<string, Mark>, direct: Map<string, Set<string>>, version: number}} Receipts
 */

/** Of so many others: how many have it, how many have seen it. @typedef {{got: number, read: number, of: number}} Count */

/** @typedef {{id: string, seq: number | null}} Sent a message of one's own; `seq` once the log has it */

/** Peers and messages remembered; the oldest go first. */
const MOST = 2_000;

/** @returns {Receipts} */
export const receipts = () => ({ logId: null, marks: new Map(), direct: new Map(), version: 0 });

/**
 * The node's word about sessions in the log `logId`; `current` is the log that this page follows, and a word about
 * another one changes nothing. Nobody goes back. True when that was news.
 *
 * @param {Receipts} held
 * @param {string | null} current
 * @param {string} logId
 * @param {readonly ReceiptRow[]} rows
 */
export function heard(held, current, logId, rows) {
  if (logId !== current) return false;
  const { version } = held;
  if (held.logId !== logId) {
    held.logId = logId;
    held.marks.clear();
  }
  for (const { peer_id: peer, got, read } of rows) {
    const known = held.marks.get(peer) ?? { got: 0, read: 0 };
    if (got <= known.got && read <= known.read) continue;
    held.marks.delete(peer);
    held.marks.set(peer, { got: Math.max(got, known.got), read: Math.max(read, known.read) });
    held.version += 1;
  }
  forget(held.marks);
  return held.version !== version;
}

/**
 * A peer confirmed directly that it has these messages. True when that was news.
 *
 * @param {Receipts} held
 * @param {string} peer
 * @param {readonly string[]} ids of own messages
 */
export function handed(held, peer, ids) {
  const { version } = held;
  for (const id of ids) {
    const peers = held.direct.get(id) ?? new Set();
    if (peers.has(peer)) continue;
    held.direct.set(id, peers.add(peer));
    held.version += 1;
  }
  forget(held.direct);
  return held.version !== version;
}

/**
 * The counts as they stand now, to be asked for many messages: each answer costs a few steps, however many peers there
 * are. A direct word is let go of once the log's has passed it.
 *
 * @param {Receipts} held
 * @param {{current: string | null, self: string, present: Iterable<string>}} room
 */
export function tally(held, { current, self, present }) {
  const here = new Set(present);
  here.delete(self);
  /** @type {[string, Mark][]} */
  const marks = held.logId === current ? [...held.marks].filter(([peer]) => peer !== self) : [];
  const [got, read] = [sorted(marks.map(([, mark]) => mark.got)), sorted(marks.map(([, mark]) => mark.read))];
  const gone = sorted(marks.filter(([peer]) => !here.has(peer)).map(([, mark]) => mark.got));
  const known = new Map(marks);

  /** Who has it by a direct path, as far as the log's word does not say so already. @param {Sent} message */
  const ahead = ({ id, seq }) => {
    const peers = held.direct.get(id);
    if (!peers) return [];
    for (const peer of peers) if (seq !== null && (known.get(peer)?.got ?? 0) >= seq) peers.delete(peer);
    if (peers.size === 0) held.direct.delete(id);
    return [...peers].filter((peer) => peer !== self);
  };

  /** @param {Sent} message @returns {Count} */
  const of = (message) => {
    const seq = message.seq ?? Infinity;
    const direct = ahead(message);
    const absent = atLeast(gone, seq) + direct.filter((peer) => !here.has(peer)).length;
    return { got: atLeast(got, seq) + direct.length, read: atLeast(read, seq), of: here.size + absent };
  };

  /** The peers behind the counts. @param {Sent} message @returns {{got: string[], read: string[]}} */
  const who = (message) => {
    const seq = message.seq ?? Infinity;
    const having = marks.filter(([, mark]) => mark.got >= seq).map(([peer]) => peer);
    return {
      got: [...having, ...ahead(message)],
      read: marks.filter(([, mark]) => mark.read >= seq).map(([peer]) => peer),
    };
  };
  return { of, who };
}

/** @param {number[]} values */
const sorted = (values) => values.sort((one, other) => one - other);

/**
 * How many of the sorted values reach `seq`.
 * @param {readonly number[]} values
 * @param {number} seq
 */
function atLeast(values, seq) {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (/** @type {number} */ (values[middle]) < seq) low = middle + 1;
    else high = middle;
  }
  return values.length - low;
}

/** @param {Map<string, unknown>} map */
function forget(map) {
  for (const key of map.keys()) {
    if (map.size <= MOST) return;
    map.delete(key);
  }
}
