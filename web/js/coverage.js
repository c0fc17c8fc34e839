// Which stretch of a room's log this page holds: sorted spans of sequence numbers, so that holes can be seen and filled.
// Twin of services/kernel/model/coverage.py, held to it by tests/vectors/coverage.

/**
 * Everything after `from` up to and including `to`; a span with `from === to` marks a place and holds nothing.
 * @typedef {{readonly from: number, readonly to: number}} Span
 */

/**
 * The spans with one more stretch held; touching spans grow together.
 * @param {readonly Span[]} spans
 * @param {number} from
 * @param {number} to
 * @returns {readonly Span[]}
 */
export function cover(spans, from, to) {
  if (to < from) return spans;
  let low = from;
  let high = to;
  const apart = [];
  for (const span of spans) {
    if (span.to < low || span.from > high) {
      apart.push(span);
    } else {
      low = Math.min(low, span.from);
      high = Math.max(high, span.to);
    }
  }
  return [...apart, { from: low, to: high }].sort((left, right) => left.from - right.from);
}

/**
 * The oldest hole between two held stretches, or null.
 * @param {readonly Span[]} spans
 * @returns {Span | null}
 */
export function firstGap(spans) {
  const [first, second] = spans;
  return first && second ? { from: first.to, to: second.from } : null;
}

/**
 * Everything above this number may be missing; null while nothing is known.
 * @param {readonly Span[]} spans
 */
export const resumeAfter = (spans) => spans[0]?.to ?? null;

/**
 * Everything at or below this number has not been read; null while nothing is known.
 * @param {readonly Span[]} spans
 */
export const readFrom = (spans) => spans[0]?.from ?? null;
