// What the node's clock says, learnt from its answers, so that a wrong device clock does not matter.

/**
 * `offset` is node time minus device time; `slack` how far off it may be.
 * @typedef {{readonly offset: number, readonly slack: number, readonly learnt: number}} NodeClock
 */

const STALE_MS = 10 * 60_000;

/** @type {NodeClock} */
export const unset = { offset: 0, slack: Infinity, learnt: -Infinity };

/**
 * Takes a reading when it is sharper than the one held, or when that one is old.
 * @param {NodeClock} clock
 * @param {number} nodeNow the node's time in its answer
 * @param {number} asked device time when the question left
 * @param {number} now device time when the answer came
 * @returns {NodeClock}
 */
export function learn(clock, nodeNow, asked, now) {
  const slack = Math.max(0, now - asked) / 2;
  const reading = nodeNow + slack - now;
  const moved = Math.abs(reading - clock.offset) > slack + clock.slack + 1000;
  if (slack > clock.slack && now - clock.learnt < STALE_MS && !moved) return clock;
  return { offset: Math.round(reading), slack, learnt: now };
}

/**
 * @param {NodeClock} clock
 * @param {number} deviceNow
 */
export const nodeTime = (clock, deviceNow) => deviceNow + clock.offset;
