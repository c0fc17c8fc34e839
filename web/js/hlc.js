/**
 * The hybrid logical clock that orders what people read: fixed-width text `ms48-counter16`, pure.
 * Twin of services/kernel/model/hlc.py, held to it by tests/vectors/hlc.
 *
 * Times are the *node's* Unix milliseconds; who keeps the offset of this device is not decided here.
 * Stamps compare as text: `a < b` in any language that compares ASCII bytewise.
 *
 * @module
 */

/** How far ahead of the node's time a stamp may be before it is refused, in milliseconds. */
export const AHEAD = 60_000;

/** The stamp before every other. */
export const ZERO = "000000000000-0000";

const FORM = /^[0-9a-f]{12}-[0-9a-f]{4}$/;
const MS_END = 2 ** 48;
const COUNTER_END = 2 ** 16;

/**
 * The stamp of something new: later than `last`, and not before `nowMs` (a fraction is dropped).
 *
 * @param {string} last the newest stamp given or seen, `ZERO` at first
 * @param {number} nowMs
 * @returns {string}
 */
export function stamp(last, nowMs) {
  const now = Math.floor(nowMs);
  const { ms, counter } = parse(last);
  if (now > ms) return format(now, 0);
  return counter + 1 < COUNTER_END ? format(ms, counter + 1) : format(ms + 1, 0);
}

/**
 * The newest stamp given or seen, after `text` was seen. Ask `tooFarAhead` first: a stamp that is
 * refused must not carry this clock along.
 *
 * @param {string} last
 * @param {string} text
 * @returns {string}
 */
export function observe(last, text) {
  parse(text);
  return text > last ? text : last;
}

/**
 * @param {string} text
 * @param {number} nowMs
 * @returns {boolean}
 */
export function tooFarAhead(text, nowMs) {
  return parse(text).ms > nowMs + AHEAD;
}

/**
 * Throws RangeError unless `text` is exactly the fixed-width form.
 *
 * @param {string} text
 * @returns {{ms: number, counter: number}}
 */
export function parse(text) {
  if (!FORM.test(text)) throw new RangeError("a stamp is 12 hex digits, a hyphen and 4 hex digits");
  return { ms: parseInt(text.slice(0, 12), 16), counter: parseInt(text.slice(13), 16) };
}

/**
 * Throws RangeError when a part does not fit.
 *
 * @param {number} ms
 * @param {number} counter
 * @returns {string}
 */
export function format(ms, counter) {
  if (!fits(ms, MS_END) || !fits(counter, COUNTER_END)) throw new RangeError("a stamp holds 48 bits of ms and 16 of counter");
  return `${ms.toString(16).padStart(12, "0")}-${counter.toString(16).padStart(4, "0")}`;
}

/** @type {(value: number, end: number) => boolean} */
const fits = (value, end) => Number.isInteger(value) && value >= 0 && value < end;
