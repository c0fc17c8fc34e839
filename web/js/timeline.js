/**
 * What one room's page shows: local echoes and logged copies merged into one ordered list. No DOM, no
 * clock, no storage. Twin of services/kernel/model/timeline.py, held to it by tests/vectors/timeline.
 * A timeline has one owner and is changed in place, so that the ten-thousandth
 * message costs what the first did; every change says which line of the page it touched.
 *
 * - One line per (sender, id), however many copies come; the log's copy is the truth.
 * - Shown in the order of (hlc, sender, id); what is missing and what is unread goes by seq.
 * - Which stretch of the log is held is kept in the spans of coverage.js.
 *
 * @module
 */

import { cover, firstGap, readFrom } from "./coverage.js";
import { parse } from "./hlc.js";

/**
 * queued: on this device, being sent · direct: came from browser to browser, or is known to have arrived that way, and
 * has not been seen in the log · node: in the node's log · failed: refused, with a reason ·
 * kept: shown here, but the log that held it is gone or has let go of it.
 *
 * @typedef {"queued" | "direct" | "node" | "failed" | "kept"} Standing
 */

/**
 * @typedef {object} Message
 * @property {string} sender the peer id in its cursor form, `guest:<label>` for guests
 * @property {string} id
 * @property {string} hlc
 * @property {string} name what the author was called then
 * @property {string} kind
 * @property {string | null} text null for kinds that have none
 * @property {boolean} verified
 * @property {boolean} mine
 */

/** @typedef {Message & {seq: number, at: number}} Logged a message as the log holds it; `at` = the node's receive time, ms */

/**
 * A line of the page; a changed line is a new value. `late` marks a line that came in above the
 * newest logged one, by `behind` milliseconds of hlc.
 *
 * @typedef {Readonly<Message & {state: Standing, reason: string | null, seq: number | null, at: number | null,
 *   late: boolean, behind: number}>} Line
 */

/** @typedef {import("./coverage.js").Span} Span */

/**
 * `lines` in the order shown; `read` = every line up to this seq has been read; `unread` = lines of
 * others after it.
 *
 * @typedef {{logId: string | null, floor: number, read: number | null, unread: number, spans: readonly Span[],
 *   lines: Line[], held: Map<string, Line>}} Timeline
 */

/**
 * What a call did: the line now stands at `index`; a moved one stood at `from`. `gap` is the oldest
 * hole in the stretch of log held, seqs from `gap.from + 1` up to `gap.to`.
 *
 * @typedef {{what: "inserted" | "changed" | "moved" | "same", line: Line, index: number, from: number, gap: Span | null}} Change
 */

/** @typedef {{logId: string, floor: number, head: number}} LogPlace */

const ON_TIME = Object.freeze({ late: false, behind: 0 });

/**
 * An empty room. Give back `logId` and `read` of an earlier visit to see what is unread since then.
 *
 * @param {{logId?: string | null, read?: number | null}} [earlier]
 * @returns {Timeline}
 */
export function timeline({ logId = null, read = null } = {}) {
  return { logId, floor: 0, read, unread: 0, spans: [], lines: [], held: new Map() };
}

/**
 * Shows an own message at once as queued. Said again it queues a failed or kept line anew, or moves
 * a queued one that was stamped again; what the node has stays.
 *
 * @param {Timeline} room
 * @param {Message} message
 * @returns {Change}
 */
export function queue(room, message) {
  const known = held(room, message);
  if (known?.state === "node" || (known?.state === "queued" && known.hlc === message.hlc)) return same(room, known);
  return show(room, { ...message, state: "queued", reason: null, seq: null, at: null, ...ON_TIME });
}

/**
 * Shows a message that came from browser to browser. What is known already stays.
 *
 * @param {Timeline} room
 * @param {Message} message
 * @returns {Change}
 */
export function direct(room, message) {
  const known = held(room, message);
  if (known !== undefined) return same(room, known);
  return show(room, { ...message, state: "direct", reason: null, seq: null, at: null, ...arrival(room, message) });
}

/**
 * Somebody has an own message that the node does not keep. Null for a message that is not shown.
 *
 * @param {Timeline} room
 * @param {{sender: string, id: string}} message
 * @returns {Change | null}
 */
export function handed(room, message) {
  const known = held(room, message);
  if (known === undefined) return null;
  return known.state === "queued" ? show(room, { ...known, state: "direct" }) : same(room, known);
}

/**
 * Takes in a message of the log. `older` says that it was asked for as an older page: such a line is
 * not late.
 *
 * @param {Timeline} room
 * @param {Logged} message
 * @param {boolean} [older]
 * @returns {Change}
 */
export function logged(room, message, older = false) {
  const known = held(room, message);
  room.spans = cover(room.spans, message.seq - 1, message.seq);
  if (known?.state === "node") return same(room, known);
  const mine = message.mine || (known?.mine ?? false);
  const { late, behind } = known ?? (older ? ON_TIME : arrival(room, message));
  const line = { ...message, mine, state: /** @type {const} */ ("node"), reason: null, late, behind };
  return show(room, line);
}

/**
 * The node has it: the line stays where it is. Null for a message that is not shown.
 *
 * @param {Timeline} room
 * @param {{sender: string, id: string, seq: number, at: number}} ack
 * @returns {Change | null}
 */
export function acked(room, ack) {
  const known = held(room, ack);
  if (known === undefined) return null;
  room.spans = cover(room.spans, ack.seq - 1, ack.seq);
  if (known.state === "node") return same(room, known);
  return show(room, { ...known, state: "node", reason: null, seq: ack.seq, at: ack.at });
}

/**
 * A queued message was refused for good. Null for a message that is not shown.
 *
 * @param {Timeline} room
 * @param {{sender: string, id: string, reason: string}} refusal
 * @returns {Change | null}
 */
export function failed(room, refusal) {
  const known = held(room, refusal);
  if (known === undefined) return null;
  if (known.state !== "queued") return same(room, known);
  return show(room, { ...known, state: "failed", reason: refusal.reason });
}

/**
 * The author takes back what was refused. Nothing else goes.
 *
 * @param {Timeline} room
 * @param {{sender: string, id: string}} message
 */
export function discard(room, message) {
  const known = held(room, message);
  if (known?.state !== "failed") return;
  room.lines.splice(placeOf(room.lines, known), 1);
  room.held.delete(keyOf(known));
}

/**
 * The node named its log (`welcome`, `/join`): what is missing up to its head becomes a gap, what it
 * no longer keeps and what another log held becomes "kept". Returns the lines that changed so. With
 * nothing read yet, or in a new log, everything up to the head counts as read.
 *
 * @param {Timeline} room
 * @param {LogPlace} place
 * @returns {Line[]}
 */
export function follow(room, { logId, floor, head }) {
  const another = room.logId !== null && room.logId !== logId;
  const gone = letGo(room, (seq) => another || seq <= floor);
  if (another || room.read === null) room.read = head;
  if (another) room.spans = [];
  room.logId = logId;
  room.floor = floor;
  room.spans = cover(clip(room.spans, floor, Infinity), head, head);
  room.unread = count(room);
  return gone;
}

/**
 * The node refused our cursor (`reset`): as `follow`, and what lies above its head is kept here only.
 *
 * @param {Timeline} room
 * @param {LogPlace} place
 * @returns {Line[]}
 */
export function reset(room, place) {
  const above = letGo(room, (seq) => seq > place.head);
  room.spans = clip(room.spans, 0, place.head);
  if (room.read !== null) room.read = Math.min(room.read, place.head);
  return [...above, ...follow(room, place)];
}

/**
 * Everything up to `seq` has been read.
 *
 * @param {Timeline} room
 * @param {number} seq
 */
export function markRead(room, seq) {
  room.read = Math.max(room.read ?? 0, seq);
  room.unread = count(room);
}

/**
 * Where the unread line belongs: the index of the first unread line, -1 when all are read.
 *
 * @param {Timeline} room
 * @returns {number}
 */
export const firstUnread = (room) => (room.unread === 0 ? -1 : room.lines.findIndex((line) => isUnread(room, line)));

/**
 * The seq to read older pages before (inclusive), null when the log keeps none or nothing is known.
 *
 * @param {Timeline} room
 * @returns {number | null}
 */
export function olderThan(room) {
  const from = readFrom(room.spans);
  return from === null || from <= room.floor ? null : from;
}

/**
 * Puts the line where it belongs, in place of an earlier form of it.
 *
 * @param {Timeline} room
 * @param {Line} line
 * @returns {Change}
 */
function show(room, line) {
  const { lines } = room;
  const known = held(room, line);
  const from = known ? placeOf(lines, known) : -1;
  room.unread += Number(isUnread(room, line));
  room.held.set(keyOf(line), line);
  const gap = firstGap(room.spans);
  if (known?.hlc === line.hlc) {
    lines[from] = line;
    return { what: "changed", line, index: from, from, gap };
  }
  if (known) lines.splice(from, 1);
  const index = placeOf(lines, line);
  lines.splice(index, 0, line);
  return { what: known ? "moved" : "inserted", line, index, from: known ? from : index, gap };
}

/** @type {(room: Timeline, line: Line) => Change} */
function same(room, line) {
  const index = placeOf(room.lines, line);
  return { what: "same", line, index, from: index, gap: firstGap(room.spans) };
}

/**
 * Marks the logged lines the log no longer answers for.
 *
 * @param {Timeline} room
 * @param {(seq: number) => boolean} isGone
 * @returns {Line[]}
 */
function letGo(room, isGone) {
  /** @type {Line[]} */
  const gone = [];
  room.lines.forEach((line, index) => {
    if (line.seq === null || !isGone(line.seq)) return;
    const kept = { ...line, state: /** @type {const} */ ("kept"), seq: null };
    room.lines[index] = kept;
    room.held.set(keyOf(kept), kept);
    gone.push(kept);
  });
  return gone;
}

/**
 * The spans cut to what lies between two places.
 *
 * @param {readonly Span[]} spans
 * @param {number} low
 * @param {number} high
 * @returns {Span[]}
 */
function clip(spans, low, high) {
  const cut = spans.map(({ from, to }) => ({ from: Math.max(from, low), to: Math.min(to, high) }));
  return cut.filter(({ from, to }) => from < to);
}

/**
 * The first place whose line does not stand before `line`.
 *
 * @param {readonly Line[]} lines
 * @param {Line} line
 * @returns {number}
 */
function placeOf(lines, line) {
  let low = 0;
  let high = lines.length;
  const last = lines.at(-1);
  if (last && isBefore(last, line)) return high;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const other = lines[middle];
    if (other && isBefore(other, line)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The order of lines, by UTF-16 code units.
 *
 * @param {Message} one
 * @param {Message} other
 * @returns {boolean}
 */
function isBefore(one, other) {
  if (one.hlc !== other.hlc) return one.hlc < other.hlc;
  if (one.sender !== other.sender) return one.sender < other.sender;
  return one.id < other.id;
}

/**
 * Whether a new line comes in above the newest one that was not merely queued here.
 *
 * @param {Timeline} room
 * @param {Message} message
 * @returns {{late: boolean, behind: number}}
 */
function arrival(room, message) {
  const newest = room.lines.findLast(({ state }) => state !== "queued" && state !== "failed");
  if (newest === undefined || isBefore(newest, message)) return ON_TIME;
  return { late: true, behind: parse(newest.hlc).ms - parse(message.hlc).ms };
}

/** @type {(room: Timeline, line: Line) => boolean} */
const isUnread = (room, line) => !line.mine && line.seq !== null && line.seq > (room.read ?? Infinity);

/** @type {(room: Timeline) => number} */
const count = (room) => room.lines.filter((line) => isUnread(room, line)).length;

/** @type {(message: {sender: string, id: string}) => string} */
const keyOf = ({ sender, id }) => `${sender}\n${id}`;

/** @type {(room: Timeline, message: {sender: string, id: string}) => Line | undefined} */
const held = (room, message) => room.held.get(keyOf(message));
