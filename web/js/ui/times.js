// Times in the reader's own language and zone: the clock, the day, and the whole of it. Pure.

const DAY_MS = 86_400_000;

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const near = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const far = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });

/** @param {number} ms */
export const clockTime = (ms) => clock.format(ms);

/** @param {number} ms */
export const wholeTime = (ms) => whole.format(ms);

/** @param {number} ms the local day as a number that is the same all day long */
export function dayOf(ms) {
  const date = new Date(ms);
  return Math.round(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / DAY_MS);
}

/**
 * @param {number} ms
 * @param {number} now
 */
export function dayName(ms, now) {
  const ago = dayOf(now) - dayOf(ms);
  if (ago === 0) return "Today";
  if (ago === 1) return "Yesterday";
  return ago > 1 && ago < 300 ? near.format(ms) : far.format(ms);
}
