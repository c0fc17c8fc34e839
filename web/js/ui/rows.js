// Turns messages and notes into the rows of the timeline: days, the unread line, groups of one speaker. Pure.

import { parse } from "../hlc.js";
import { NOBODY } from "./standing.js";
import { dayName, dayOf } from "./times.js";

/** @typedef {import("../timeline.js").Line} Line */
/** @typedef {import("../notes.js").Note} Note */

/**
 * @typedef {{kind: "day" | "new" | "note", key: string, text: string}
 *   | {kind: "message", key: string, line: Line, ms: number, first: boolean, last: boolean, late: boolean,
 *      proof: string, via: string | null, receipt: import("./standing.js").Receipt}} Row
 */

/** Messages of one speaker closer than this stand together. */
const TOGETHER_MS = 5 * 60_000;

/** A message this far behind the newest one is said to have arrived late. */
export const LATE_MS = 2_000;

/**
 * @param {{lines: readonly Line[], notes: readonly Note[], proofs: ReadonlyMap<string, string>,
 *          via: (key: string) => string | null, receipts?: (line: Line) => import("./standing.js").Receipt,
 *          unreadFrom: string | null, now: number, whole: boolean}} shown `unreadFrom` is the key of the first unread
 *   message; `whole` says that nothing stands above the first line
 * @returns {Row[]}
 */
export function rowsOf({ lines, notes, proofs, via, receipts, unreadFrom, now, whole }) {
  /** @type {Row[]} */
  const rows = [];
  const between = whole ? notes : notesAfter(notes, lines[0]);
  let day = NaN;
  let next = 0;
  const enterDay = (/** @type {number} */ ms) => {
    if (dayOf(ms) === day) return;
    day = dayOf(ms);
    rows.push({ kind: "day", key: `day-${day}`, text: dayName(ms, now) });
  };
  const tellUntil = (/** @type {string} */ hlc) => {
    for (let note = between[next]; note && note.hlc < hlc; note = between[next]) {
      enterDay(note.at);
      rows.push({ kind: "note", key: note.key, text: note.text });
      next += 1;
    }
  };
  for (const line of lines) {
    const { ms } = parse(line.hlc);
    const key = `${line.sender} ${line.id}`;
    tellUntil(line.hlc);
    enterDay(ms);
    if (key === unreadFrom) rows.push({ kind: "new", key: "new", text: "New" });
    const name = `${line.sender}\n${line.id}`;
    const proof = proofs.get(name) ?? "";
    const receipt = (line.mine && receipts?.(line)) || NOBODY;
    const late = line.late && line.behind >= LATE_MS;
    rows.push({ kind: "message", key, line, ms, first: true, last: true, late, proof, via: via(name), receipt });
  }
  tellUntil("g");
  return grouped(rows);
}

/**
 * Notes older than the first message shown belong to lines that are not shown.
 * @param {readonly Note[]} notes
 * @param {Line | undefined} first
 */
const notesAfter = (notes, first) => (first ? notes.filter(({ hlc, what }) => hlc > first.hlc || what === "log") : notes);

/**
 * @param {Row[]} rows
 * @returns {Row[]}
 */
function grouped(rows) {
  return rows.map((row, index) => {
    if (row.kind !== "message") return row;
    return { ...row, first: !together(rows[index - 1], row), last: !together(row, rows[index + 1]) };
  });
}

/**
 * @param {Row | undefined} one
 * @param {Row | undefined} other
 */
function together(one, other) {
  if (one?.kind !== "message" || other?.kind !== "message") return false;
  const { line, ms } = other;
  return one.line.sender === line.sender && one.line.name === line.name && one.line.mine === line.mine &&
    ms - one.ms < TOGETHER_MS;
}
