// What the screen shows of a room's people and messages, put together from the parts that know them.

import { parse } from "./hlc.js";
import { NODE_LADDER, PEER_LADDER, STRATEGIES } from "./ladder/policy.js";
import { keyOf } from "./log.js";
import { best, pathTo, peopleBanner, stepsTo, whyTo } from "./peer-words.js";
import { pathName } from "./words.js";

/** @typedef {import("./room.js").Room} Room */

/**
 * Oneself, and everybody else with the path to them.
 * @param {Room} room
 * @param {import("./words.js").Situation} situation
 * @returns {{self: import("./roster.js").Person, others: import("./ui/person-card.js").PersonView[],
 *   banner: import("./words.js").Banner | null}}
 */
export function peopleViews(room, situation) {
  const [self, ...people] = /** @type {[import("./roster.js").Person, ...import("./roster.js").Person[]]} */ (room.present());
  const names = [self, ...people].map(({ name }) => name);
  const reached = people.map((person) => {
    const reach = best(room.direct.peers.reaches(person.peerId));
    return { person, name: person.name, reach, path: pathTo(reach, situation) };
  });
  const others = reached.map(({ person, reach, path }) => {
    return {
      person, path,
      twin: names.indexOf(person.name) !== names.lastIndexOf(person.name),
      steps: stepsTo(reach, situation), why: whyTo(person.name, reach, situation),
    };
  });
  return { self, others, banner: peopleBanner(reached, situation.now, room.plan.keeps) };
}

/** @type {Readonly<Record<string, string>>} */
const STATES = {
  queued: "On this device, waiting for a path",
  direct: "Arrived from browser to browser, not seen at the node yet",
  node: "In the node’s log",
  failed: "Refused",
  kept: "On this device only: the node’s log does not have it",
};

/**
 * Everything known of one message, with each copy that arrived and by which path.
 * @param {Room} room
 * @param {import("./timeline.js").Line} line
 * @returns {import("./ui/details.js").Details}
 */
export function detailsOf(room, line) {
  const key = keyOf(line);
  const copies = room.log.arrivals.of(key);
  const start = copies[0]?.at ?? 0;
  return {
    text: line.text ?? "",
    written: parse(line.hlc).ms,
    state: STATES[line.state] ?? line.state,
    others: line.mine ? othersOf(room, line) : "",
    proof: line.mine ? "" : room.log.proofs.get(key) ?? "",
    id: line.id,
    seq: line.seq,
    copies: copies.map(({ rung, at, from }) => ({
      path: rung === "history" ? "History" : pathName(rung),
      from: from === null ? "from the node" : `from ${room.people.roster.get(from)?.name ?? "somebody who left"}’s device`,
      after: at === start ? "first" : `+${Math.max(1, Math.round(at - start))} ms`,
    })),
  };
}

/**
 * Who has an own message and who has seen it, as far as they told.
 * @param {Room} room
 * @param {import("./timeline.js").Line} line
 */
function othersOf(room, line) {
  const { got, read } = room.receipts.who(line);
  const names = (/** @type {readonly string[]} */ ids) =>
    ids.map((id) => room.people.roster.get(id)?.name ?? "somebody who left").join(", ");
  const only = got.filter((id) => !read.includes(id));
  return [read.length > 0 && `Read by ${names(read)}`, only.length > 0 && `Delivered to ${names(only)}`].filter(Boolean).join(". ");
}

/** A strategy's name, `auto` for any other text. @param {string} text */
export const asStrategy = (text) => (Object.hasOwn(STRATEGIES, text) ? text : "auto");

/** The name of a rung that a page has, else null. @param {string | null} text */
export const asRung = (text) =>
  [...PEER_LADDER.rungs, ...NODE_LADDER.rungs].some(({ name }) => name === text) ? text : null;
