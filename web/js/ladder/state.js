/**
 * What a ladder is, and the two questions its rules ask of it: which link is preferred (rule 2) and
 * which rungs are wanted (rules 3 and 4). Twin of services/transport/ladder/state.py.
 *
 * @module
 */

/** @typedef {import("./policy.js").Config} Config */

/**
 * ready: may be dialled from `due` on · dialing: fails at `deadline` · up: `bad` samples not yet
 * cancelled, the last `good` ones in a row · resting: not before `due`.
 *
 * @typedef {{type: "ready", due: number}
 *   | {type: "dialing", deadline: number}
 *   | {type: "up", bad: number, tainted: boolean, good: number}
 *   | {type: "resting", due: number}} Phase
 */

/**
 * The last thing that happened to a rung: `what` is "opened", "closed", "overdue", "tainted" or the
 * word of a `failed` event; `evidence` is for a person and never read by the ladder.
 *
 * @typedef {{what: string, evidence: string, at: number}} Outcome
 */

/**
 * `tries` counts the failures since a link last proved itself (rule 5).
 *
 * @typedef {{name: string, phase: Phase, tries: number, outcome: Outcome | null}} Rung
 */

/**
 * `rungs` stand best first; `active` is what the last `use` said; before `start` nothing is allowed.
 *
 * @typedef {{config: Readonly<Config>, allowed: readonly string[], rungs: readonly Rung[], active: string | null}} Ladder
 */

/**
 * A ladder at rest: nothing is allowed, hence nothing wanted, until `start`.
 *
 * @param {Readonly<Config>} config
 * @returns {Ladder}
 */
export function ladder(config) {
  const places = [...config.rungs].sort((one, other) => other.priority - one.priority);
  const rungs = places.map(({ name }) => ({ name, phase: ready(0), tries: 0, outcome: null }));
  return { config, allowed: [], rungs, active: null };
}

/**
 * The links that are up in the order of rule 2: clean before tainted, then best first.
 *
 * @param {Ladder} state
 * @returns {Rung[]}
 */
export function preferred(state) {
  const up = state.rungs.filter(isUp);
  return [...up.filter((rung) => !isTainted(rung)), ...up.filter(isTainted)];
}

/**
 * The rungs without a link that are worth dialling or waiting for: all while no clean link is up,
 * else the better ones (rule 3) and the standbys that are missing (rule 4).
 *
 * @param {Ladder} state
 * @param {number} now
 * @returns {string[]}
 */
export function wanted(state, now) {
  const down = state.rungs.filter((rung) => !isUp(rung) && state.allowed.includes(rung.name));
  const [best, ...spare] = preferred(state);
  if (best === undefined || isTainted(best)) return down.map(({ name }) => name);
  const place = state.rungs.indexOf(best);
  const better = down.filter((rung) => state.rungs.indexOf(rung) < place);
  const worse = down.filter((rung) => state.rungs.indexOf(rung) > place);
  return [...better, ...standbys(worse, state.config.standbys - spare.length, now)].map(({ name }) => name);
}

/**
 * Rule 4: who may become a standby. A dial in progress holds a place first; a rung that still rests
 * may take one when its rest is over, but holds none until then.
 *
 * @param {Rung[]} worse
 * @param {number} missing
 * @param {number} now
 * @returns {Rung[]}
 */
function standbys(worse, missing, now) {
  const isDialing = (/** @type {Rung} */ { phase }) => phase.type === "dialing";
  let places = missing;
  return [...worse.filter(isDialing), ...worse.filter((rung) => !isDialing(rung))].filter(({ phase }) => {
    if (places <= 0) return false;
    if (phase.type !== "resting" || phase.due <= now) places -= 1;
    return true;
  });
}

/**
 * @param {Ladder} state
 * @param {Rung} changed
 * @returns {Ladder}
 */
export function swap(state, changed) {
  return { ...state, rungs: state.rungs.map((rung) => (rung.name === changed.name ? changed : rung)) };
}

/** @type {(state: Ladder, name: string) => Rung | undefined} */
export const find = (state, name) => state.rungs.find((rung) => rung.name === name);

/** @type {(rung: Rung) => boolean} */
export const isUp = ({ phase }) => phase.type === "up";

/** @type {(rung: Rung) => boolean} */
export const isTainted = ({ phase }) => phase.type === "up" && phase.tainted;

/** @type {(rung: Rung) => boolean} */
export const isOpen = ({ phase }) => phase.type === "up" || phase.type === "dialing";

/** @type {(rung: Rung) => number} */
export const dueOf = ({ phase }) => (phase.type === "ready" || phase.type === "resting" ? phase.due : Infinity);

/** @type {(due: number) => Phase} */
export const ready = (due) => ({ type: "ready", due });

/** @type {(due: number) => Phase} */
export const resting = (due) => ({ type: "resting", due });
