// Says in words how the page reaches its node: the path in use, what is wrong, what still works, and why. Pure.

import { PATH_NAMES } from "./notes.js";

/** @typedef {import("./driver.js").PathRow} PathRow */

/**
 * @typedef {object} Situation
 * @property {readonly PathRow[]} rows
 * @property {boolean} online what the browser says of its network
 * @property {number} now monotonic ms
 * @property {number} since when the room was opened, or when this device woke
 * @property {{evidence: string, code: string} | null} refusal the node does not let this page in
 * @property {boolean} guest
 */

/** @typedef {{name: string, label: string, mark: "active" | "standby" | "trying" | "down" | "never", figures: string}} Step */
/** @typedef {{tone: "warn" | "bad", text: string, action: "name" | "retry" | "why" | null}} Banner */

/** A path is given this long to open before its absence is worth a line. */
const GRACE_MS = 4_000;

/** @param {number} ms */
const seconds = (ms) => `${Math.max(1, Math.round(ms / 1000))} s`;

/** @param {number | null | undefined} rtt */
export const latency = (rtt) => (typeof rtt === "number" ? `${Math.max(1, Math.round(rtt))} ms` : "");

/** @param {string} name */
export const pathName = (name) => PATH_NAMES[name] ?? name;

/** @param {readonly PathRow[]} rows */
const activeRow = (rows) => rows.find(({ active }) => active) ?? null;

/**
 * The path in use in a few words.
 * @param {Situation} situation
 * @param {string} crowd how the others are reached beside the node, or empty
 * @returns {{tone: "good" | "fair" | "off", text: string, figure: string}}
 */
export function summary({ rows, online, refusal }, crowd) {
  const active = activeRow(rows);
  if (crowd) return { tone: active ? "good" : "fair", text: crowd, figure: "" };
  if (!active) return { tone: "off", text: refusal ? "Not let in" : online ? "Connecting" : "Offline", figure: "" };
  const best = rows[0] === active;
  return { tone: best ? "good" : "fair", text: pathName(active.name), figure: latency(active.quality?.rtt) };
}

/**
 * One line that says what is wrong and what still works, or null when all is well.
 * @param {Situation} situation
 * @returns {Banner | null}
 */
export function banner({ rows, online, now, since, refusal }) {
  const active = activeRow(rows);
  if (refusal && !active) return refused(refusal);
  const early = now - since < GRACE_MS;
  if (!active) {
    if (!online) return warn("You are offline. What you write is queued on this device and leaves by itself.", null);
    return early ? null : warn("No path to the node right now. What you write is queued on this device.", "retry");
  }
  const better = rows.slice(0, rows.indexOf(active)).find(({ rung, allowed }) => allowed && rung.phase.type !== "up");
  if (!better || early || now - active.since < GRACE_MS) return null;
  const said = better.rung.outcome?.what === "closed" ? "broke off" : "does not open";
  return warn(`The ${pathName(better.name)} path ${said}. Messages go by ${pathName(active.name)}; nothing is lost.`, "why");
}

/**
 * @param {string} text
 * @param {Banner["action"]} action
 * @returns {Banner}
 */
const warn = (text, action) => ({ tone: "warn", text, action });

/**
 * @param {{evidence: string, code: string}} refusal
 * @returns {Banner}
 */
function refused({ evidence, code }) {
  const name = code === "forbidden" || code === "4003" || code === "bad_request";
  const text = `The node does not let you in: ${evidence}. What you write stays on this device.`;
  return { tone: "bad", text, action: name ? "name" : "retry" };
}

/**
 * The node ladder, best rung first, and the rung that belongs to nodes.
 * @param {Situation} situation
 * @returns {Step[]}
 */
export function steps({ rows, now }) {
  return [
    ...rows.map((row) => stepOf(row, now)),
    { name: "lan-broadcast", label: "Local network", mark: /** @type {const} */ ("never"), figures: "between nodes only" },
  ];
}

/**
 * @param {PathRow} row
 * @param {number} now
 * @returns {Step}
 */
export function stepOf({ name, rung, active, quality, barred, allowed }, now) {
  const label = pathName(name);
  const { phase, outcome } = rung;
  if (!allowed) return { name, label, mark: "down", figures: "switched off" };
  if (active) return { name, label, mark: "active", figures: figuresOf(quality) };
  if (phase.type === "up") return { name, label: `${label} · standby`, mark: "standby", figures: latency(quality?.rtt) };
  if (barred) return { name, label, mark: "down", figures: barred };
  if (phase.type === "dialing") return { name, label, mark: "trying", figures: "trying…" };
  if (!outcome) return { name, label, mark: "down", figures: "not tried yet" };
  if (outcome.what === "unavailable") return { name, label, mark: "down", figures: short(outcome.evidence) };
  const figures = phase.due > now ? `again in ${seconds(phase.due - now)}` : short(outcome.evidence);
  return { name, label, mark: "down", figures };
}

/** @param {import("./ladder/quality.js").Quality | null} quality */
const figuresOf = (quality) => (quality ? `${latency(quality.rtt) || "no echo"} · ${Math.round(quality.loss)} %` : "in use");

/** @param {string} evidence */
const short = (evidence) => evidence.replace(/^(it|this node has) /, "").replace(/^no answer within.*/, "no answer");

/**
 * The chain of causes behind the path in use, who can change it, and what happens next.
 * @param {Situation} situation
 * @returns {{title: string, points: string[], next: string}}
 */
export function why({ rows, now, guest, refusal }) {
  const active = activeRow(rows);
  const down = rows.filter(({ rung }) => rung.phase.type !== "up");
  const points = down.map((row) => cause(row, now));
  const title = active ? `Why ${pathName(active.name)}?` : "Why no path?";
  if (active) points.push(reason(active, rows));
  if (guest && refusal) points.push("A guest cannot use the name of somebody who is in the room with a key.");
  return { title, points, next: nextStep(rows, active, now) };
}

/**
 * @param {PathRow} row
 * @param {number} now
 */
function cause({ name, rung, barred, since, allowed }, now) {
  const label = pathName(name);
  if (!allowed) return `${label}: switched off by the path chosen here.`;
  if (barred) return `${label}: the node said no (${barred}).`;
  if (rung.phase.type === "dialing") return `${label}: being tried for ${seconds(now - since)}.`;
  if (!rung.outcome || rung.outcome.what === "opened") return `${label}: not tried yet.`;
  return `${label}: ${short(rung.outcome.evidence)}, ${seconds(now - rung.outcome.at)} ago.`;
}

/**
 * @param {PathRow} active
 * @param {readonly PathRow[]} rows
 */
function reason({ name, quality }, rows) {
  const answers = quality?.rtt ? ` and answers in ${latency(quality.rtt)}` : "";
  if (rows[0]?.name === name) return `${pathName(name)} is the best path from this page to its node${answers}.`;
  return `${pathName(name)} needs nothing but ordinary requests${answers}.`;
}

/**
 * @param {readonly PathRow[]} rows
 * @param {PathRow | null} active
 * @param {number} now
 */
function nextStep(rows, active, now) {
  const [best] = rows;
  if (best && (best === active || !best.allowed)) return "";
  const dues = rows.flatMap(({ rung }) => ("due" in rung.phase && rung.phase.due > now ? [rung.phase.due] : []));
  const soon = dues.length > 0 ? ` Trying again in ${seconds(Math.min(...dues) - now)}.` : "";
  if (active) return `Whoever runs the proxy or firewall in between can let WebSockets to /signal through.${soon}`;
  return `The node may be restarting, or this device has no network.${soon}`;
}
