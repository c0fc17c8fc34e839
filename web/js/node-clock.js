// What the node's clock says, learnt from its answers, so that a wrong device clock does not matter. Device time here is
// the monotonic one: a clock that is set while the page is open moves nothing.
// Twin of services/kernel/model/node_clock.py, held to it by tests/vectors/node_clock.

/**
 * `offset` is node time minus device time; `slack` how far off it may be.
 * @typedef {{readonly offset: number, readonly slack: number, readonly learnt: number}} NodeClock
 */

const STALE_MS = 10 * 60_000;

/**
 * Before the node has said anything: what the device's own clock says, for want of better.
 * @param {number} wall
 * @param {number} deviceNow
 * @returns {NodeClock}
 */
export const guess = (wall, deviceNow) => ({ offset: wall - deviceNow, slack: Infinity, learnt: -Infinity });

/**
 * The node took a message at this time of its own, so it is at least that late there now; a device that slept lags.
 * @param {NodeClock} clock
 * @param {number} at
 * @param {number} deviceNow
 * @returns {NodeClock}
 */
export const notBefore = (clock, at, deviceNow) =>
  (clock.slack < Infinity && at > nodeTime(clock, deviceNow) ? { ...clock, offset: at - deviceNow } : clock);

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
