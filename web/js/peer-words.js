// Says in words how somebody is reached: the path in use, the five steps with their figures, and why. Pure.

import { explain } from "./explain.js";
import { latency, pathName, stepOf } from "./words.js";

/** @typedef {import("./driver.js").PathRow} PathRow */
/** @typedef {import("./words.js").Step} Step */
/** @typedef {import("./words.js").Situation} Situation */

/**
 * One session of somebody else, as far as direct paths go.
 * @typedef {object} Reach
 * @property {string} session
 * @property {readonly PathRow[]} rows
 * @property {ReadonlyMap<string, import("./rungs/webrtc-link.js").Facts>} facts
 * @property {ReadonlyMap<string, Record<string, any>>} theirs
 * @property {import("./verify.js").Proof} proof whether their key signed the certificate of the link
 * @property {string} pair the addresses in use in a few words, empty while that is not known
 */

/** @typedef {{tone: "good" | "fair" | "off", text: string, figure: string, rung: string | null}} Path */

const NEVER = "between nodes only";

/** @param {readonly PathRow[]} rows */
const inUse = (rows) => rows.find(({ active }) => active) ?? null;

/**
 * The session that is reached best stands for the person.
 * @param {readonly Reach[]} reaches
 * @returns {Reach | null}
 */
export function best(reaches) {
  const rank = (/** @type {Reach} */ { rows }) => rows.findIndex(({ active }) => active);
  const reached = reaches.filter((reach) => rank(reach) >= 0).sort((one, other) => rank(one) - rank(other));
  return reached[0] ?? reaches[0] ?? null;
}

/**
 * @param {Reach | null} reach
 * @param {Situation} situation
 * @returns {Path}
 */
export function pathTo(reach, { rows: node }) {
  const active = inUse(reach?.rows ?? []);
  if (active) {
    const tone = active.name === "webrtc-stun" ? "good" : "fair";
    return { tone, text: pathName(active.name), figure: latency(active.quality?.rtt), rung: active.name };
  }
  const floor = inUse(node);
  if (!floor) return { tone: "off", text: "Not reached", figure: "", rung: null };
  return { tone: "fair", text: "Through the node", figure: pathName(floor.name), rung: floor.name };
}

/**
 * The five steps to one person: the direct ones, the two of the node below them, and the one that belongs to nodes.
 * @param {Reach | null} reach
 * @param {Situation} situation
 * @returns {Step[]}
 */
export function stepsTo(reach, { rows: node, now }) {
  const direct = inUse(reach?.rows ?? []);
  const own = (reach?.rows ?? []).map((row, place, all) => {
    const needless = row.allowed && row.rung.phase.type === "ready" && all.findIndex(({ active }) => active) < place && direct !== null;
    if (needless) return { name: row.name, label: pathName(row.name), mark: /** @type {const} */ ("down"), figures: "not needed" };
    return stepOf(row, now);
  });
  const floor = node.map((row) => stepOf(direct && row.active ? { ...row, active: false } : row, now));
  return [...own, ...floor, { name: "lan-broadcast", label: pathName("lan-broadcast"), mark: /** @type {const} */ ("never"), figures: NEVER }];
}

/**
 * The chain of causes behind the path to one person, who can change it, and what happens next.
 * @param {string} name
 * @param {Reach | null} reach
 * @param {Situation} situation
 * @returns {{title: string, points: string[], next: string}}
 */
export function whyTo(name, reach, situation) {
  const path = pathTo(reach, situation);
  const title = path.rung === "webrtc-stun" ? "Why direct?" : "Why not direct?";
  if (!reach) return { title, points: [`${name} shares no direct path with this page.`], next: "" };
  const better = reach.rows.slice(0, path.rung?.startsWith("webrtc-") ? reach.rows.findIndex((row) => row.active) : reach.rows.length);
  const chains = better.map(({ name: rung, allowed, rung: { phase, outcome } }) => explain({
    rung, outcome, name, allowed,
    phase: phase.type,
    facts: reach.facts.get(rung) ?? null,
    theirs: reach.theirs.get(rung) ?? null,
  }));
  const points = [...chains.flatMap((chain) => chain.points), reason(name, reach, path)];
  const remedies = [...new Set(chains.map(({ remedy }) => remedy).filter(Boolean))];
  return { title, points, next: [...remedies, again(better, situation.now)].filter(Boolean).join(" ") };
}

/**
 * @param {string} name
 * @param {Reach} reach
 * @param {Path} path
 */
function reason(name, { proof, pair }, { rung, figure }) {
  if (rung === null) return "This page has no path to its node either.";
  if (!rung.startsWith("webrtc-")) return `So messages go through the node, by ${figure}.`;
  const how = rung === "webrtc-stun" ? `Messages go straight to ${name}’s device` : `Messages go to ${name} through this node’s relay`;
  const who = proof === "good" ? "their key signed the connection" : "a guest has no key, so nobody can tell who is at the other end";
  return `${how}${pair ? ` (${pair})` : ""}; ${who}.`;
}

/**
 * @param {readonly PathRow[]} rows
 * @param {number} now
 */
function again(rows, now) {
  const dues = rows.flatMap(({ rung: { phase } }) => (phase.type === "resting" && phase.due > now ? [phase.due] : []));
  return dues.length > 0 ? `Trying again in ${Math.max(1, Math.round((Math.min(...dues) - now) / 1000))} s.` : "";
}

/** A direct path that broke off is worth a line for so long. */
const NEWS_MS = 20_000;

/**
 * One line about the people who lost their direct path just now, or whom nothing reaches that may carry messages.
 * @param {readonly {name: string, reach: Reach | null, path: Path}[]} people
 * @param {number} now
 * @param {boolean} keeps whether messages also go into the node's log
 * @returns {import("./words.js").Banner | null}
 */
export function peopleBanner(people, now, keeps) {
  const missed = people.filter(({ path }) => !path.rung?.startsWith("webrtc-"));
  if (!keeps && missed.length > 0) {
    const text = `Nothing is kept at the node, and no direct path reaches ${listed(missed)} now. They get what you write once one does, while this page is open.`;
    return { tone: "warn", text, action: "why" };
  }
  const fallen = people.filter(({ reach, path }) => path.rung !== "webrtc-stun" && (reach?.rows ?? []).some((row) => brokeOff(row, now)));
  const [first] = fallen;
  if (!first) return null;
  const way = first.path.rung === "webrtc-turn" ? "through the relay" : "through the node";
  return { tone: "warn", text: `The direct path to ${listed(fallen)} broke off. Messages go ${way}; nothing is lost.`, action: "why" };
}

/**
 * @param {PathRow} row
 * @param {number} now
 */
const brokeOff = ({ name, rung: { phase, outcome } }, now) =>
  name === "webrtc-stun" && phase.type !== "up" && outcome?.what === "closed" && now - outcome.at < NEWS_MS;

/** @param {readonly {name: string}[]} people */
const listed = (people) => {
  const [one, two, ...more] = people.map(({ name }) => name);
  if (more.length > 0) return `${one}, ${two} and ${more.length} more`;
  return two === undefined ? `${one}` : `${one} and ${two}`;
};

/**
 * How the others are reached, in a few words: "2 direct, 1 relayed".
 * @param {readonly Path[]} paths one per person
 */
export function crowd(paths) {
  const count = (/** @type {string} */ rung) => paths.filter((path) => path.rung === rung).length;
  const [direct, relayed] = [count("webrtc-stun"), count("webrtc-turn")];
  const node = paths.length - direct - relayed;
  const parts = [direct && `${direct} direct`, relayed && `${relayed} relayed`, node && direct + relayed > 0 && `${node} through the node`];
  return parts.filter(Boolean).join(", ");
}
