// What is shown, before it is drawn: links in texts, rows of the timeline, and the words about paths.
import assert from "node:assert/strict";
import { test } from "node:test";

import { NODE_LADDER } from "../../web/js/ladder/policy.js";
import { ladder } from "../../web/js/ladder/state.js";
import { step } from "../../web/js/ladder/step.js";
import { parts } from "../../web/js/ui/links.js";
import { rowsOf } from "../../web/js/ui/rows.js";
import { banner, steps, summary, why } from "../../web/js/words.js";

const links = (/** @type {string} */ text) => parts(text).filter(({ href }) => href).map(({ text: shown }) => shown);

test("only http and https become links, and the sentence around them does not", () => {
  assert.deepEqual(links("see https://a.example/x, and (http://b.example/y_(z))."), ["https://a.example/x", "http://b.example/y_(z)"]);
  for (const text of ["javascript:alert(1)", "data:text/html,x", "ftp://a.example", "https://", "xhttps://a b", "http:// a"]) {
    assert.deepEqual(links(text), [], text);
  }
  assert.deepEqual(links("<https://a.example/>\"http://b.example\""), ["https://a.example/", "http://b.example"]);
});

test("the parts of a text are the text, whatever is in it", () => {
  for (const text of ["", "plain", "https://a.example", "a https://b.example c\nd http://e.example.", "<b>&amp;</b>"]) {
    assert.equal(parts(text).map(({ text: part }) => part).join(""), text);
  }
});

const DAY = 86_400_000;
const NOON = Date.UTC(2026, 10, 22, 12) + new Date(Date.UTC(2026, 10, 22, 12)).getTimezoneOffset() * 60_000;
const hlc = (/** @type {number} */ ms, counter = 0) => `${ms.toString(16).padStart(12, "0")}-${counter.toString(16).padStart(4, "0")}`;
const line = (/** @type {string} */ id, /** @type {number} */ ms, more = {}) => /** @type {any} */ ({
  id, sender: "p1", name: "Ann", hlc: hlc(ms), text: id, mine: false, verified: true, late: false, behind: 0, state: "node", ...more,
});
const note = (/** @type {string} */ text, /** @type {number} */ at) => /** @type {any} */ ({ key: text, hlc: hlc(at, 0xffff), at, what: "joined", text });

/** @param {any} shown */
const rows = (shown) => rowsOf({ notes: [], proofs: new Map(), via: () => null, unreadFrom: null, now: NOON, whole: true, ...shown })
  .map((row) => (row.kind === "message" ? `${row.line.id}${row.first ? "^" : ""}${row.last ? "$" : ""}${row.late ? " late" : ""}` : row.text));

test("days stand between messages, and speakers' messages stand together", () => {
  const lines = [line("a", NOON - DAY), line("b", NOON), line("c", NOON + 1000), line("d", NOON + 2000, { sender: "p2" }),
    line("e", NOON + 3000, { sender: "p2", name: "Other" }), line("f", NOON + 10 * 60_000, { sender: "p2", name: "Other" })];
  assert.deepEqual(rows({ lines, now: NOON + 1 }), ["Yesterday", "a^$", "Today", "b^", "c$", "d^$", "e^$", "f^$"]);
});

test("the unread line stands before the first unread message and parts a group", () => {
  const lines = [line("a", NOON), line("b", NOON + 1)];
  assert.deepEqual(rows({ lines, unreadFrom: "p1 b" }), ["Today", "a^$", "New", "b^$"]);
});

test("notes stand where they happened; those before a first page of many belong to what is not shown", () => {
  const lines = [line("a", NOON), line("b", NOON + 10)];
  const notes = [note("before", NOON - 5), note("between", NOON + 5), note("after", NOON + 20)];
  assert.deepEqual(rows({ lines, notes }), ["Today", "before", "a^$", "between", "b^$", "after"]);
  assert.deepEqual(rows({ lines, notes, whole: false }), ["Today", "a^$", "between", "b^$", "after"]);
  assert.deepEqual(rows({ lines: [], notes: [note("alone", NOON)] }), ["Today", "alone"]);
});

test("a message that arrived late says so; a few milliseconds are not late", () => {
  const lines = [line("a", NOON, { late: true, behind: 9000 }), line("b", NOON + 1, { late: true, behind: 30 })];
  assert.deepEqual(rows({ lines }), ["Today", "a^ late", "b$"]);
});

const WS = "websocket-direct";
const POLL = "http-polling";

/** A ladder after these events, as the page's driver describes it. @param {...[number, any]} events */
function situation(...events) {
  let state = step(ladder(NODE_LADDER), { type: "start", allowed: [WS, POLL] }, 0).state;
  for (const [at, event] of events) state = step(state, event, at).state;
  const now = events.at(-1)?.[0] ?? 0;
  const quality = { rtt: 31.4, jitter: 1, loss: 0, score: 97 };
  const rows = state.rungs.map((rung) => ({
    name: rung.name, rung, active: state.active === rung.name, since: 0, barred: null, allowed: true,
    quality: rung.phase.type === "up" ? quality : null,
  }));
  return { rows, online: true, now, since: 0, refusal: null, guest: false };
}
const polling = () => situation(
  [10, { type: "failed", rung: WS, what: "refused", evidence: "it could not be opened" }],
  [500, { type: "tick" }], [600, { type: "opened", rung: POLL }], [9000, { type: "tick" }],
);

test("with the best path in use there is nothing to say", () => {
  const good = situation([10, { type: "opened", rung: WS }], [600, { type: "tick" }], [700, { type: "opened", rung: POLL }]);
  assert.deepEqual(summary(good, ""), { tone: "good", text: "WebSocket", figure: "31 ms" });
  assert.equal(banner(good), null);
  assert.deepEqual(steps(good).map(({ label, mark, figures }) => [label, mark, figures]), [
    ["WebSocket", "active", "31 ms · 0 %"], ["HTTP polling · standby", "standby", "31 ms"],
    ["Local network", "never", "between nodes only"],
  ]);
  assert.equal(why(good).next, "");
});

test("on a worse path the banner says what is wrong and what still works, and why", () => {
  const worse = polling();
  assert.deepEqual(summary(worse, ""), { tone: "fair", text: "HTTP polling", figure: "31 ms" });
  const told = banner(worse);
  assert.equal(told?.text, "The WebSocket path does not open. Messages go by HTTP polling; nothing is lost.");
  assert.equal(told?.action, "why");
  const { title, points, next } = why(worse);
  assert.equal(title, "Why HTTP polling?");
  assert.match(points[0] ?? "", /^WebSocket: /);
  assert.deepEqual(steps(worse).slice(0, 2).map(({ mark }) => mark), ["trying", "active"]);
  assert.match(next, /proxy or firewall/);
});

test("the first seconds are not a fault, and an absent path is named with what happens to messages", () => {
  const none = situation([10, { type: "failed", rung: WS, what: "refused", evidence: "x" }]);
  assert.equal(banner(none), null);
  const late = { ...none, now: 5000 };
  assert.match(banner(late)?.text ?? "", /queued on this device/);
  assert.equal(banner(late)?.action, "retry");
  assert.match(banner({ ...late, online: false })?.text ?? "", /You are offline/);
  assert.equal(summary({ ...late, online: false }, "").text, "Offline");
  assert.equal(summary(late, "").tone, "off");
});

test("a path that is switched off is no fault", () => {
  const chosen = polling();
  const rows = chosen.rows.map((row) => ({ ...row, allowed: row.name !== WS }));
  assert.equal(banner({ ...chosen, rows }), null);
  assert.equal(steps({ ...chosen, rows })[0]?.figures, "switched off");
  assert.match(why({ ...chosen, rows }).points.join(" "), /WebSocket: switched off by the path chosen here/);
});

test("a page that is not let in says why, and offers another name where that may help", () => {
  const refused = { ...situation(), refusal: { evidence: "this name is reserved", code: "forbidden" } };
  assert.match(banner(refused)?.text ?? "", /this name is reserved/);
  assert.equal(banner(refused)?.action, "name");
  assert.equal(banner({ ...refused, refusal: { evidence: "x", code: "1008" } })?.action, "retry");
});
