// Which of this page's messages are not yet acked, and which of them to send now; pure, in the author's order.
// Twin of services/transport/ladder/outbox.py, held to it by tests/vectors/outbox.

/**
 * `sent` says on which link it was last sent and when; `notBefore` is the node's wish after a refusal for the moment.
 * @typedef {{readonly id: string, readonly hlc: string, readonly sealed: import("./wire/codec.js").Sealed,
 *            readonly bytes: number, readonly sent: {readonly link: number, readonly at: number} | null,
 *            readonly notBefore: number}} Pending
 * @typedef {readonly Pending[]} Outbox
 * @typedef {{count: number, bytes: number, alone: boolean}} Window how much may be under way on a link; `alone`: one
 *   batch at a time
 */

/** An ack that takes longer than this on a live link is asked for again; the id keeps the message single. */
export const RESEND_MS = 10_000;

/** @type {Outbox} */
export const empty = [];

/**
 * The box with one more message where its time puts it, or with a new sealing of one it holds, in that one's place.
 * @param {Outbox} box
 * @param {{id: string, hlc: string, sealed: import("./wire/codec.js").Sealed, bytes: number}} message
 * @returns {Outbox}
 */
export function put(box, message) {
  const pending = { ...message, sent: null, notBefore: 0 };
  if (box.some(({ id }) => id === message.id)) return box.map((held) => (held.id === message.id ? pending : held));
  const place = box.findLastIndex(({ hlc }) => hlc <= message.hlc) + 1;
  return [...box.slice(0, place), pending, ...box.slice(place)];
}

/**
 * What to send on this link now, oldest first, and the box that remembers it. A message that must wait holds back
 * those behind it; one sent on another link is sent again here.
 * @param {Outbox} box
 * @param {number} link
 * @param {number} now
 * @param {Window} window
 * @returns {{box: Outbox, batch: Pending[]}}
 */
export function take(box, link, now, window) {
  const underWay = box.filter((held) => isUnderWay(held, link, now));
  if (window.alone && underWay.length > 0) return { box, batch: [] };
  let count = underWay.length;
  let bytes = underWay.reduce((sum, held) => sum + held.bytes, 0);
  const batch = [];
  for (const held of box) {
    if (isUnderWay(held, link, now)) continue;
    const fits = count === 0 || (count < window.count && bytes + held.bytes <= window.bytes);
    if (held.notBefore > now || !fits) break;
    count += 1;
    bytes += held.bytes;
    batch.push(held);
  }
  const ids = new Set(batch.map(({ id }) => id));
  const marked = box.map((held) => (ids.has(held.id) ? { ...held, sent: { link, at: now } } : held));
  return { box: batch.length > 0 ? marked : box, batch };
}

/**
 * @param {Outbox} box
 * @param {string} id acked or refused for good
 * @returns {Outbox}
 */
export const without = (box, id) => (box.some((held) => held.id === id) ? box.filter((held) => held.id !== id) : box);

/**
 * The box after the node asked to come back later with one message.
 * @param {Outbox} box
 * @param {string} id
 * @param {number} until
 * @returns {Outbox}
 */
export const postpone = (box, id, until) =>
  box.map((held) => (held.id === id ? { ...held, sent: null, notBefore: until } : held));

/**
 * When there may be something to send on this link again; Infinity when only an answer can change that.
 * @param {Outbox} box
 * @param {number} link
 */
export function nextTry(box, link) {
  const times = box.map((held) => (held.sent?.link === link ? held.sent.at + RESEND_MS : held.notBefore));
  return times.length > 0 ? Math.min(...times) : Infinity;
}

/**
 * @param {Pending} held
 * @param {number} link
 * @param {number} now
 */
const isUnderWay = (held, link, now) =>
  held.sent !== null && held.sent.link === link && now - held.sent.at < RESEND_MS;
