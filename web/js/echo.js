// Whether an open link is alive: when to ask for an echo, what the echoes measured, when silence means dead. Pure.
// Twin of services/transport/ladder/echo.py, held to it by tests/vectors/echo.

import { LOST_AFTER, measure, remember } from "./ladder/quality.js";

/**
 * @typedef {object} Echo
 * @property {number} heardAt when anything last came in
 * @property {number} beatAt when `beat` was last called; a long pause means that this page slept
 * @property {{t: number, at: number, counted: boolean} | null} asked the echo under way
 * @property {number} askedAt when an echo was last asked for
 * @property {readonly import("./ladder/quality.js").Echo[]} echoes
 */

/**
 * Without anything coming in for this long after asking, a link is dead; asking starts 1.5 s into the silence. Two
 * askings, where something came in right after the first, and a look before each, stay within 5 s.
 */
const SILENCE_MS = 4_000;
const ASK_AGAIN_MS = 2_000;
const SLEPT_MS = 2_500;
const FIGURE_MS = 5_000;

/**
 * @param {number} now monotonic milliseconds
 * @returns {Echo}
 */
export const fresh = (now) => ({ heardAt: now, beatAt: now, asked: null, askedAt: -Infinity, echoes: [] });

/**
 * @param {Echo} echo
 * @param {number} now
 * @returns {Echo}
 */
export const heard = (echo, now) => ({ ...echo, heardAt: now });

/**
 * @param {Echo} echo
 * @param {number} t the mark that came back
 * @param {number} now
 * @returns {Echo}
 */
export function answered(echo, t, now) {
  if (echo.asked?.t !== t) return heard(echo, now);
  const echoes = echo.asked.counted ? echo.echoes : remember(echo.echoes, now - echo.asked.at);
  return { ...echo, heardAt: now, asked: null, echoes };
}

/**
 * One look at a link, to be repeated about twice a second.
 * @param {Echo} echo
 * @param {number} every milliseconds of quiet after which an echo is asked for
 * @param {number} now
 * @returns {{echo: Echo, ask: number | null, dead: boolean}} `ask` is the mark of the echo to ask for
 */
export function beat(echo, every, now) {
  if (now - echo.beatAt > SLEPT_MS) return ask({ ...echo, heardAt: now }, now);
  const seen = { ...echo, beatAt: now };
  const { asked } = echo;
  if (asked && !asked.counted && now - asked.at >= LOST_AFTER) {
    seen.echoes = remember(echo.echoes, null);
    seen.asked = { ...asked, counted: true };
  }
  if (asked && now - asked.at >= ASK_AGAIN_MS) {
    if (now - echo.heardAt >= SILENCE_MS) return { echo: seen, ask: null, dead: true };
    if (echo.heardAt > asked.at) return ask(seen, now);
    return { echo: seen, ask: null, dead: false };
  }
  const due = now - echo.heardAt >= every || now - echo.askedAt >= Math.max(every, FIGURE_MS);
  return due && !asked ? ask(seen, now) : { echo: seen, ask: null, dead: false };
}

/**
 * @param {Echo} echo
 * @param {number} now
 */
function ask(echo, now) {
  const t = Math.round(now * 1000) / 1000;
  return { echo: { ...echo, beatAt: now, askedAt: now, asked: { t, at: now, counted: false } }, ask: t, dead: false };
}

/** @param {Echo} echo */
export const qualityOf = (echo) => measure(echo.echoes);
