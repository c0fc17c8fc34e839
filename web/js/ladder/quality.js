/**
 * How good a link is, from its last ten echoes: round-trip time, jitter, loss and a score. Pure.
 * Twin of services/transport/ladder/quality.py, held to it by tests/vectors/ladder/quality.json.
 *
 * @module
 */

/** @typedef {number | null} Echo round-trip time in milliseconds, null when it did not come back in time */

/**
 * rtt: mean of the echoes that came back · jitter: mean difference between one and the next, both in
 * milliseconds and null when none came back · loss: percent · score: whole number from 0 to 100.
 *
 * @typedef {{rtt: number | null, jitter: number | null, loss: number, score: number}} Quality
 */

/** How many echoes count. */
export const WINDOW = 10;

/** An echo that takes longer than this many milliseconds counts as lost. */
export const LOST_AFTER = 2_000;

/** A sample below this score is a bad one (rule 6). */
export const BAD_BELOW = 30;

/**
 * The last echoes, oldest first, with one more.
 *
 * @param {readonly Echo[]} echoes
 * @param {Echo} echo
 * @returns {Echo[]}
 */
export function remember(echoes, echo) {
  const counted = echo === null || echo > LOST_AFTER ? null : echo;
  return [...echoes, counted].slice(-WINDOW);
}

/**
 * Null until there is an echo to speak of.
 *
 * @param {readonly Echo[]} echoes as `remember` keeps them
 * @returns {Quality | null}
 */
export function measure(echoes) {
  if (echoes.length === 0) return null;
  const back = echoes.filter((echo) => echo !== null);
  const loss = (100 * (echoes.length - back.length)) / echoes.length;
  if (back.length === 0) return { rtt: null, jitter: null, loss, score: 0 };
  const rtt = mean(back);
  const steps = back.slice(1).map((echo, index) => Math.abs(echo - /** @type {number} */ (back[index])));
  return { rtt, jitter: steps.length > 0 ? mean(steps) : 0, loss, score: score(rtt, loss) };
}

/**
 * 100 − rtt / 10 ms − 2 · loss %, kept between 0 and 100 and rounded half up.
 *
 * @param {number} rtt
 * @param {number} loss
 * @returns {number}
 */
export function score(rtt, loss) {
  return Math.min(100, Math.max(0, Math.floor(100 - rtt / 10 - 2 * loss + 0.5)));
}

/** @type {(quality: Quality) => boolean} */
export const isGood = (quality) => quality.score >= BAD_BELOW;

/** @type {(values: readonly number[]) => number} */
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
