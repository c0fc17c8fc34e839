/**
 * The ladder: which rungs to dial and which link to use, as one pure function of (state, event, time).
 * Twin of services/transport/ladder/step.py, held to it by tests/vectors/ladder.
 *
 * It opens nothing, reads no clock and keeps no message: a driver performs the actions, in their
 * order, and feeds what happened back in. The driver's side of the contract:
 *
 * - `hang_up(rung)` ends that rung's dial or link, whichever there is; no event about it follows.
 * - `dial(rung)` is answered by one `opened` or one `failed`; an opened link ends with one `closed`.
 * - A `tick` comes at `wake` at the latest.
 * - What ended carries a `spread`, drawn anew from 0 to 1: it is what keeps many clients of one node from
 *   coming back in the same instant. A link that ended for many at once (close 1012) is told of `spread`
 *   times `crowd` late, so that also the next rung is not taken by all of them in the same instant.
 *
 * The nine rules, where the table leaves room:
 *
 * 1. A climb dials the best allowed rung now and each next one a stagger later, until a link is up.
 * 2. The best clean link is used; when all are tainted, the best. `use` is said only on a change.
 * 3. With a clean link in use the better rungs are wanted. After a failure or a loss rule 5 says when
 *    (2, 4, 8 … 60 s), so its ceiling is the steady "every 60 s"; a better link that was put down
 *    because it was tainted rests `retry` outright. A changed network forgets all rests, and dials
 *    again what was begun more than a stagger ago, as that dial belongs to the old network.
 * 4. Behind a clean link in use the next worse rungs are dialled as standbys, a stagger after that link
 *    came into use, so that they never compete with it. A resting rung does not hold a standby's
 *    place. What is neither better nor a standby is hung up, unless the ladder keeps its links.
 * 5. The rest doubles with each failure, and also when a link is lost before it proved itself: an open
 *    link is not a live link. `patience` good samples in a row forget the failures, so that a rung which
 *    opens, speaks once and dies is tried ever more seldom. A rest lasts up to twice that
 *    long, as the `spread` of what ended says, but never longer than the longest.
 * 6. Bad samples count up to `patience` and good ones back to zero; the two ends set and clear the
 *    taint. While every link is tainted all rungs are wanted.
 * 7. Losing the last link starts a climb of the rungs that do not rest; no rest lasts longer than the
 *    shortest with its spread, also that of the rung just lost.
 * 8. A changed strategy or card hangs up what is no longer allowed and starts a climb without rests.
 * 9. When the other end dials a rung (`called`), it is dialled here too, now and whatever rests: what
 *    the two ends build is one link. A link or dial held until then is the other end's no longer, so
 *    it is hung up first. A rung that is not allowed, or not wanted, is not dialled; no `dial` in the
 *    answer tells the driver to say no.
 *
 * @module
 */

import { dueOf, find, isOpen, isTainted, isUp, preferred, ready, resting, swap, wanted } from "./state.js";

/** @typedef {import("./policy.js").Config} Config */
/** @typedef {import("./state.js").Ladder} Ladder */
/** @typedef {import("./state.js").Outcome} Outcome */
/** @typedef {import("./state.js").Phase} Phase */
/** @typedef {import("./state.js").Rung} Rung */

/**
 * `allowed` lists the rungs that may be used; `good` is a sample's verdict (quality.js).
 * `strategy_changed` also announces a changed peer card. `spread` is 0 when it is absent.
 *
 * @typedef {{type: "start", allowed: readonly string[]}
 *   | {type: "tick"}
 *   | {type: "opened", rung: string}
 *   | {type: "failed", rung: string, what: string, evidence: string, spread?: number}
 *   | {type: "closed", rung: string, evidence: string, spread?: number}
 *   | {type: "sampled", rung: string, good: boolean}
 *   | {type: "called", rung: string}
 *   | {type: "network_changed"}
 *   | {type: "strategy_changed", allowed: readonly string[]}} Event
 */

/** @typedef {{type: "dial", rung: string} | {type: "hang_up", rung: string} | {type: "use", rung: string | null}} Action */

/** @typedef {{state: Ladder, actions: Action[], wake: number}} Stepped `wake` is always later than now */

/** @typedef {{state: Ladder, ended: string[]}} Heard a state, and the rungs whose dial or link is over by our wish */

/**
 * What becomes of the ladder, what is to be done now (in this order: use, hang up, dial), and when
 * to come back. `now` is a monotonic time in milliseconds that never runs backwards.
 *
 * @param {Ladder} state
 * @param {Event} event
 * @param {number} now
 * @returns {Stepped}
 */
export function step(state, event, now) {
  const heard = hear(state, event, now);
  const timed = failOverdue(heard.state, now);
  const chosen = choose(timed.state, now);
  const sparing = putDown(chosen, now);
  const dialled = dialDue(sparing.state, now);
  /** @type {Action[]} */
  const actions = chosen.active === state.active ? [] : [{ type: "use", rung: chosen.active }];
  for (const rung of [...heard.ended, ...timed.ended, ...sparing.ended]) actions.push({ type: "hang_up", rung });
  for (const rung of dialled.begun) actions.push({ type: "dial", rung });
  return { state: dialled.state, actions, wake: wakeAt(dialled.state, now) };
}

/**
 * @param {Ladder} state
 * @param {Event} event
 * @param {number} now
 * @returns {Heard}
 */
function hear(state, event, now) {
  switch (event.type) {
    case "start":
    case "strategy_changed":
      return refilter(state, event.allowed, now);
    case "tick":
      return { state, ended: [] };
    case "opened":
      return opened(state, event.rung, now);
    case "failed":
      return lost(state, event.rung, { what: event.what, evidence: event.evidence, at: now }, event.spread);
    case "closed":
      return lost(state, event.rung, { what: "closed", evidence: event.evidence, at: now }, event.spread);
    case "sampled":
      return sampled(state, event.rung, event.good);
    case "called":
      return called(state, event.rung, now);
    case "network_changed":
      return reconsider(state, now);
    default:
      return unknown(event);
  }
}

/**
 * Rule 8; also the start.
 *
 * @param {Ladder} state
 * @param {readonly string[]} names
 * @param {number} now
 * @returns {Heard}
 */
function refilter(state, names, now) {
  const allowed = state.rungs.map(({ name }) => name).filter((name) => names.includes(name));
  const ended = state.rungs.filter((rung) => !allowed.includes(rung.name) && isOpen(rung)).map(({ name }) => name);
  return { state: climb(madeReady({ ...state, allowed }, ended, now), now), ended };
}

/**
 * A link nobody waits for any more is hung up.
 *
 * @param {Ladder} state
 * @param {string} name
 * @param {number} now
 * @returns {Heard}
 */
function opened(state, name, now) {
  const rung = find(state, name);
  if (rung?.phase.type === "up") return { state, ended: [] };
  if (rung?.phase.type !== "dialing") return { state, ended: [name] };
  const outcome = { what: "opened", evidence: "", at: now };
  return { state: swap(state, { ...rung, phase: { type: "up", bad: 0, tainted: false, good: 0 }, outcome }), ended: [] };
}

/**
 * Rule 5 for a dial or a link that ended by itself, and rule 7 when it was the last link.
 *
 * @param {Ladder} state
 * @param {string} name
 * @param {Outcome} outcome
 * @param {number} [spread]
 * @returns {Heard}
 */
function lost(state, name, outcome, spread = 0) {
  const rung = find(state, name);
  if (rung === undefined || !isOpen(rung)) return { state, ended: [] };
  const rested = swap(state, rest(rung, outcome, state.config, spread));
  const last = rung.phase.type === "up" && !rested.rungs.some(isUp);
  return { state: last ? climb(rested, outcome.at, pauseOf(state.config, 0, spread)) : rested, ended: [] };
}

/**
 * Rule 6; and a link that proved itself forgets the failures of rule 5.
 *
 * @param {Ladder} state
 * @param {string} name
 * @param {boolean} good
 * @returns {Heard}
 */
function sampled(state, name, good) {
  const rung = find(state, name);
  if (rung?.phase.type !== "up") return { state, ended: [] };
  const { patience } = state.config;
  const { phase } = rung;
  const bad = good ? Math.max(0, phase.bad - 1) : Math.min(patience, phase.bad + 1);
  const tainted = bad === patience || (phase.tainted && bad > 0);
  const inRow = good ? Math.min(patience, phase.good + 1) : 0;
  const next = /** @type {Phase} */ ({ type: "up", bad, tainted, good: inRow });
  return { state: swap(state, { ...rung, phase: next, tries: inRow === patience ? 0 : rung.tries }), ended: [] };
}

/**
 * Rule 9, and rule 7 when the link that ends was the last one.
 *
 * @param {Ladder} state
 * @param {string} name
 * @param {number} now
 * @returns {Heard}
 */
function called(state, name, now) {
  const rung = find(state, name);
  if (rung === undefined || !state.allowed.includes(name)) return { state, ended: [] };
  const freed = madeReady(state, [name], now);
  const last = isUp(rung) && !freed.rungs.some(isUp);
  const climbing = last ? climb(freed, now, state.config.rest) : freed;
  return { state: madeReady(climbing, [name], now), ended: isOpen(rung) ? [name] : [] };
}

/**
 * Rule 3 on a changed network. A dial younger than a stagger stays: browsers announce one change by
 * several events.
 *
 * @param {Ladder} state
 * @param {number} now
 * @returns {Heard}
 */
function reconsider(state, now) {
  const { deadline, stagger } = state.config;
  const ended = state.rungs
    .filter(({ phase }) => phase.type === "dialing" && now - (phase.deadline - deadline) > stagger)
    .map(({ name }) => name);
  return { state: climb(madeReady(state, ended, now), now), ended };
}

/**
 * Rule 1: gives the allowed rungs without link or dial their turn, a stagger apart. Rests end, or
 * shrink to `shortest` when that is given. A turn that is already nearer stays.
 *
 * @param {Ladder} state
 * @param {number} now
 * @param {number | null} [shortest]
 * @returns {Ladder}
 */
function climb(state, now, shortest = null) {
  const { config, allowed } = state;
  let turn = now;
  const rungs = state.rungs.map((rung) => {
    const { phase } = rung;
    if (phase.type === "up" || !allowed.includes(rung.name)) return rung;
    if (phase.type === "resting" && shortest !== null) {
      return { ...rung, phase: resting(Math.min(phase.due, now + shortest)), tries: 1 };
    }
    const planned = turn;
    turn += config.stagger;
    if (phase.type === "dialing") return rung;
    const nearer = phase.type === "ready" && now < phase.due && phase.due < planned;
    return { ...rung, phase: ready(nearer ? phase.due : planned), tries: shortest === null ? 0 : rung.tries };
  });
  return { ...state, rungs };
}

/**
 * Rule 5 for dials that took too long.
 *
 * @param {Ladder} state
 * @param {number} now
 * @returns {Heard}
 */
function failOverdue(state, now) {
  const { config } = state;
  const late = state.rungs.filter(({ phase }) => phase.type === "dialing" && phase.deadline <= now);
  const outcome = { what: "overdue", evidence: `no answer within ${config.deadline} ms`, at: now };
  const after = late.reduce((before, rung) => swap(before, rest(rung, outcome, config, 0)), state);
  return { state: after, ended: late.map(({ name }) => name) };
}

/**
 * Rule 2, and the pause of rule 4 before a standby is dialled behind a clean link that came into use.
 *
 * @param {Ladder} state
 * @param {number} now
 * @returns {Ladder}
 */
function choose(state, now) {
  const best = preferred(state)[0];
  const active = best?.name ?? null;
  if (best === undefined || active === state.active || isTainted(best)) return { ...state, active };
  const place = state.rungs.indexOf(best);
  const soonest = now + state.config.stagger;
  const rungs = state.rungs.map((rung, index) => {
    const { phase } = rung;
    if (index < place || phase.type === "up" || phase.type === "dialing") return rung;
    return { ...rung, phase: { ...phase, due: Math.max(phase.due, soonest) } };
  });
  return { ...state, rungs, active };
}

/**
 * Rule 4: hangs up spare links, then dials nobody wants any more.
 *
 * @param {Ladder} state
 * @param {number} now
 * @returns {Heard}
 */
function putDown(state, now) {
  const { config, active } = state;
  if (config.keep || active === null) return { state, ended: [] };
  const place = state.rungs.findIndex(({ name }) => name === active);
  const spare = preferred(state).slice(1 + config.standbys);
  const lighter = spare.reduce((before, rung) => {
    if (state.rungs.indexOf(rung) > place) return swap(before, { ...rung, phase: ready(now) });
    const outcome = { what: "tainted", evidence: `${config.patience} bad samples`, at: now };
    return swap(before, { ...rung, phase: resting(now + config.retry), outcome });
  }, state);
  const names = wanted(lighter, now);
  const idle = lighter.rungs
    .filter(({ name, phase }) => phase.type === "dialing" && !names.includes(name))
    .map(({ name }) => name);
  return { state: madeReady(lighter, idle, now), ended: [...spare.map(({ name }) => name), ...idle] };
}

/**
 * @param {Ladder} state
 * @param {number} now
 * @returns {{state: Ladder, begun: string[]}}
 */
function dialDue(state, now) {
  const names = wanted(state, now);
  const begun = state.rungs.filter((rung) => names.includes(rung.name) && dueOf(rung) <= now);
  const phase = /** @type {Phase} */ ({ type: "dialing", deadline: now + state.config.deadline });
  const after = begun.reduce((before, rung) => swap(before, { ...rung, phase }), state);
  return { state: after, begun: begun.map(({ name }) => name) };
}

/**
 * The next deadline or turn, and never more than `retry` away.
 *
 * @param {Ladder} state
 * @param {number} now
 * @returns {number}
 */
function wakeAt(state, now) {
  const names = wanted(state, now);
  const deadlines = state.rungs.map(({ phase }) => (phase.type === "dialing" ? phase.deadline : Infinity));
  const turns = state.rungs.map((rung) => (names.includes(rung.name) ? dueOf(rung) : Infinity));
  return Math.min(now + state.config.retry, ...deadlines, ...turns);
}

/**
 * @param {Ladder} state
 * @param {readonly string[]} names
 * @param {number} now
 * @returns {Ladder}
 */
function madeReady(state, names, now) {
  return { ...state, rungs: state.rungs.map((rung) => (names.includes(rung.name) ? { ...rung, phase: ready(now) } : rung)) };
}

/**
 * @param {Rung} rung
 * @param {Outcome} outcome
 * @param {Readonly<Config>} config
 * @param {number} spread
 * @returns {Rung}
 */
function rest(rung, outcome, config, spread) {
  const due = outcome.at + pauseOf(config, rung.tries, spread);
  return { name: rung.name, phase: resting(due), tries: rung.tries + 1, outcome };
}

/**
 * Rule 5: how long a rest lasts after so many failures before.
 *
 * @param {Readonly<Config>} config
 * @param {number} tries
 * @param {number} spread
 * @returns {number}
 */
function pauseOf(config, tries, spread) {
  return Math.min(config.longest, Math.floor(config.rest * 2 ** Math.min(tries, 16) * (1 + spread)));
}

/** @type {(event: never) => never} */
function unknown(event) {
  throw new TypeError(`the ladder knows no event ${JSON.stringify(event)}`);
}
