// Why a direct path is or is not there: the chain of causes from what both sides saw, and who can change it. Pure.

/** @typedef {import("./rungs/webrtc-link.js").Facts} Facts */
/** @typedef {import("./ladder/state.js").Outcome} Outcome */

/**
 * What is known of one rung to one session. `theirs` is what the other page told of its side, whatever it wrote there.
 * @typedef {{rung: string, phase: string, outcome: Outcome | null, allowed: boolean, facts: Facts | null,
 *            theirs: Record<string, any> | null, name: string}} Case
 */

/** @typedef {{points: string[], remedy: string}} Chain */

const WORDS = 160;

/** @param {unknown} count @param {string} kind */
const has = (count, kind) => typeof count === "object" && count !== null && Number(/** @type {any} */ (count)[kind]) > 0;

/** @param {unknown} text */
const clean = (text) => String(text).replace(/[\p{Cc}\p{Cf}]/gu, "").slice(0, WORDS);

/** @param {unknown} errors @returns {string[]} */
const listed = (errors) => (Array.isArray(errors) ? errors.slice(0, 3).map(clean) : []);

/**
 * @param {Case} known
 * @returns {Chain}
 */
export function explain(known) {
  const { rung, phase, outcome, allowed } = known;
  const label = rung === "webrtc-stun" ? "Direct" : "Relay";
  if (!allowed) return { points: [`${label}: switched off by the path chosen here.`], remedy: "You can choose another path above." };
  if (phase === "up") return { points: [], remedy: "" };
  if (phase === "dialing" && !outcome) return { points: [`${label}: being tried.`], remedy: "" };
  if (!outcome) return { points: [`${label}: not tried yet.`], remedy: "" };
  if (outcome.what === "unavailable") return unavailable(label, outcome);
  if (outcome.what === "refused") return { points: [`${label}: ${outcome.evidence}.`], remedy: "" };
  if (outcome.what === "closed") return lost(label, known, outcome);
  return rung === "webrtc-stun" ? noDirect(known) : noRelay(known);
}

/**
 * @param {string} label
 * @param {Outcome} outcome
 * @returns {Chain}
 */
function unavailable(label, { evidence }) {
  const remedy = /relay/.test(evidence) ? "The node’s operator can start its relay (coturn)." : "";
  return { points: [`${label}: ${evidence}.`], remedy };
}

/**
 * @param {string} label
 * @param {Case} known
 * @param {Outcome} outcome
 * @returns {Chain}
 */
function lost(label, { name, theirs }, { evidence }) {
  const points = [`${label} worked and broke off: ${evidence}.`];
  if (theirs?.["evidence"]) points.push(`${name}’s side: ${clean(theirs["evidence"])}.`);
  return { points, remedy: "" };
}

/**
 * @param {Case} known
 * @returns {Chain}
 */
function noDirect(known) {
  const { facts, theirs, name } = known;
  if (unanswered(facts)) return silent("Direct", name);
  const points = [...side("This device", facts?.mine, facts?.nat, facts?.errors), ...side(`${name}’s device`, theirs?.["mine"], theirs?.["nat"], theirs?.["errors"])];
  const symmetric = [facts?.nat, theirs?.["nat"]].filter((nat) => nat === "symmetric").length;
  const blocked = !has(facts?.mine, "srflx") || (theirs !== null && !has(theirs["mine"], "srflx"));
  if (symmetric === 2) points.push("Both sides are behind symmetric NAT: no direct path exists.");
  else if (symmetric === 1) points.push("One side is behind a symmetric NAT, which lets only those in whom it called first.");
  else points.push("No pair of addresses answered.");
  if (symmetric > 0) return { points, remedy: "Nobody here can change that; the relay is made for it." };
  const remedy = blocked ? "Whoever runs that network can let UDP out." : "A firewall in between may drop UDP from strangers.";
  return { points, remedy };
}

/**
 * @param {Case} known
 * @returns {Chain}
 */
function noRelay(known) {
  const { facts, theirs, name } = known;
  const mine = has(facts?.mine, "relay");
  const other = theirs === null || has(theirs["mine"], "relay");
  const points = [];
  if (!mine) points.push(`The relay gave this device no address${because(facts?.errors)}.`);
  if (!other) points.push(`The relay gave ${name}’s device no address${because(theirs?.["errors"])}.`);
  if (mine && other && unanswered(facts)) return silent("Relay", name);
  if (mine && other) points.push("Both sides have an address at the relay, but nothing came back through it.");
  const closed = [...listed(facts?.errors), ...listed(theirs?.["errors"])].some((words) => /\(701\)/.test(words));
  if (closed) return { points, remedy: "The node’s operator can open the relay’s port (UDP and TCP 3478), or your network can let it through." };
  return { points, remedy: mine && other ? "The node’s operator can check the relay: /readyz says how its self-test went." : "" };
}

/** @param {Facts | null} facts */
const unanswered = (facts) => facts !== null && (facts.step === "begun" || facts.step === "offered") && Object.keys(facts.theirs).length === 0;

/**
 * @param {string} label
 * @param {string} name
 * @returns {Chain}
 */
const silent = (label, name) => ({
  points: [`${label}: ${name}’s page did not answer the call. It may be asleep, or have no path to the node itself.`],
  remedy: "",
});

/**
 * @param {string} who
 * @param {unknown} mine
 * @param {unknown} nat
 * @param {unknown} errors
 */
function side(who, mine, nat, errors) {
  if (mine === undefined) return [];
  if (nat === "symmetric") return [`${who} is behind a symmetric NAT.`];
  if (has(mine, "srflx")) return [`${who} knows its public address.`];
  return [`${who} learnt no public address${because(errors)}.`];
}

/** @param {unknown} errors */
function because(errors) {
  const [first] = listed(errors);
  return first ? `: ${first}` : "";
}
