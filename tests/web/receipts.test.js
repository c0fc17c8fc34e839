// How far the others are: counts per message from the log's watermarks and from direct words, each peer once.
import assert from "node:assert/strict";
import { test } from "node:test";

import { handed, heard, receipts, tally } from "../../web/js/receipts.js";
import { standing, wholeStanding } from "../../web/js/ui/standing.js";
import { checkReceipts } from "../../web/js/wire/codec.js";
import { checkDirect } from "../../web/js/wire/direct.js";

const LOG = "00000000000000aa";
const OTHER = "00000000000000bb";
const row = (/** @type {string} */ peer, /** @type {number} */ got, read = 0, session = "1") => ({ peer_id: peer, session, got, read });
const sent = (/** @type {number | null} */ seq, id = `m${seq}`) => ({ id, seq });

/** @param {any} held */
const counts = (held, present = ["me", "ann", "ben"], current = /** @type {string | null} */ (LOG)) =>
  tally(held, { current, self: "me", present });
/** @param {...any} rows */
const told = (...rows) => {
  const held = receipts();
  heard(held, LOG, LOG, rows);
  return held;
};

test("a message is delivered to those who hold the log up to it, and read by those who saw it", () => {
  const held = told(row("ann", 5, 3), row("ben", 4, 0));
  const { of, who } = counts(held);
  assert.deepEqual(of(sent(3)), { got: 2, read: 1, of: 2 });
  assert.deepEqual(of(sent(4)), { got: 2, read: 0, of: 2 });
  assert.deepEqual(of(sent(5)), { got: 1, read: 0, of: 2 });
  assert.deepEqual(of(sent(6)), { got: 0, read: 0, of: 2 });
  assert.deepEqual(of(sent(null, "q")), { got: 0, read: 0, of: 2 });
  assert.deepEqual(who(sent(4)), { got: ["ann", "ben"], read: [] });
  assert.deepEqual(who(sent(3)), { got: ["ann", "ben"], read: ["ann"] });
  assert.deepEqual(who(sent(null, "q")), { got: [], read: [] });
});

test("a peer counts once however many sessions it has, and one's own tabs never", () => {
  const held = told(row("ann", 5, 1, "a"), row("ann", 2, 2, "b"), row("me", 9, 9, "c"));
  const { of } = counts(held);
  assert.deepEqual(of(sent(2)), { got: 1, read: 1, of: 2 });
  assert.deepEqual(of(sent(5)), { got: 1, read: 0, of: 2 });
});

test("who is gone but had it still counts; who is gone and had it not does not", () => {
  const { of } = counts(told(row("ann", 9, 9), row("ghost", 4, 4)));
  assert.deepEqual(of(sent(4)), { got: 2, read: 2, of: 3 });
  assert.deepEqual(of(sent(5)), { got: 1, read: 1, of: 2 });
});

test("nobody goes back, and only news is news", () => {
  const held = told(row("ann", 5, 3));
  const { version } = held;
  assert.equal(heard(held, LOG, LOG, [row("ann", 4, 2), row("ann", 5, 3)]), false);
  assert.equal(held.version, version);
  assert.equal(heard(held, LOG, LOG, [row("ann", 4, 4)]), true);
  assert.deepEqual(counts(held).of(sent(4)), { got: 1, read: 1, of: 2 });
  assert.equal(heard(held, LOG, LOG, []), false);
});

test("a word about another log than the page's changes nothing; another log starts afresh", () => {
  const held = told(row("ann", 5, 3));
  assert.equal(heard(held, LOG, OTHER, [row("ben", 9, 9)]), false);
  assert.equal(heard(held, null, LOG, [row("ben", 9, 9)]), false);
  assert.deepEqual(counts(held).of(sent(5)), { got: 1, read: 0, of: 2 });
  assert.deepEqual(counts(held, ["me", "ann"], OTHER).of(sent(1)), { got: 0, read: 0, of: 1 });
  assert.equal(heard(held, OTHER, OTHER, [row("ben", 1)]), true);
  assert.deepEqual(counts(held, undefined, OTHER).of(sent(1)), { got: 1, read: 0, of: 2 });
});

test("a direct word counts before the log has the message, once, and is let go of when the log's has passed it", () => {
  const held = told(row("ann", 5));
  assert.equal(handed(held, "ben", ["m6", "m7"]), true);
  assert.equal(handed(held, "ben", ["m6"]), false);
  handed(held, "ghost", ["m6"]);
  handed(held, "me", ["m6"]);
  assert.deepEqual(counts(held).of(sent(null, "m6")), { got: 2, read: 0, of: 3 });
  assert.deepEqual(counts(held).of(sent(6)), { got: 2, read: 0, of: 3 });
  assert.deepEqual(counts(held).who(sent(6)), { got: ["ben", "ghost"], read: [] });
  heard(held, LOG, LOG, [row("ben", 6, 6)]);
  assert.deepEqual(counts(held).of(sent(6)), { got: 2, read: 1, of: 3 });
  assert.deepEqual([...(held.direct.get("m6") ?? [])], ["ghost", "me"]);
  heard(held, LOG, LOG, [row("ben", 7, 7)]);
  assert.deepEqual(counts(held).of(sent(7)), { got: 1, read: 1, of: 2 });
  assert.deepEqual([...held.direct.keys()], ["m6"]);
});

test("memory is bounded whatever the others say", () => {
  const held = receipts();
  heard(held, LOG, LOG, Array.from({ length: 5_000 }, (_, number) => row(`p${number}`, 1)));
  assert.equal(held.marks.size, 2_000);
  assert.ok(held.marks.has("p4999"));
  handed(held, "ann", Array.from({ length: 5_000 }, (_, number) => `m${number}`));
  assert.equal(held.direct.size, 2_000);
});

test("ten thousand questions about a thousand peers take no time", () => {
  const peers = Array.from({ length: 1_000 }, (_, number) => `p${number}`);
  const { of } = counts(told(...peers.map((peer, number) => row(peer, number, number >> 1))), ["me", ...peers]);
  const started = performance.now();
  for (let seq = 1; seq <= 10_000; seq += 1) of(sent(seq));
  assert.ok(performance.now() - started < 500);
  assert.deepEqual(of(sent(400)), { got: 600, read: 200, of: 1_000 });
});

test("rows of the wrong form are dropped", () => {
  const good = row("ann", 5, 3);
  const bad = [null, 7, [], {}, row("ann", -1), row("ann", 1.5), row("ann", NaN), row("ann", 2 ** 53), { ...good, got: "5" },
    { ...good, read: null }, { ...good, peer_id: 7 }, { ...good, session: undefined }];
  assert.deepEqual(checkReceipts([...bad, good]), [good]);
  for (const rows of [undefined, null, "rows", {}, 7]) assert.deepEqual(checkReceipts(rows), []);
});

test("word on a direct path may say that it is not to be shown", () => {
  const got = { type: "got", ids: ["a"] };
  assert.deepEqual(checkDirect(JSON.stringify({ ...got, quiet: true })), { ...got, quiet: true });
  assert.deepEqual(checkDirect(JSON.stringify(got)), got);
  for (const quiet of [1, "true", null, []]) assert.equal(checkDirect(JSON.stringify({ ...got, quiet })), null);
});

const words = (/** @type {string} */ state, got = 0, read = 0, of = 0, kept = true) => standing(state, { got, read, of, kept });

test("the words say where a message is, and who has it", () => {
  assert.equal(words("queued"), "queued on this device");
  assert.equal(words("queued", 1, 0, 1), "delivered directly, not at the node yet");
  assert.equal(words("queued", 1, 0, 3), "delivered directly to 1 of 3, not at the node yet");
  assert.equal(words("direct", 1, 0, 1, false), "delivered directly, not kept at the node");
  assert.equal(words("direct", 2, 0, 3, false), "delivered directly to 2 of 3, not kept at the node");
  assert.equal(words("direct", 0, 0, 1, false), "sent directly, not kept at the node");
  assert.equal(words("direct", 0, 0, 1), "sent directly, not at the node yet");
  assert.equal(words("node", 0, 0, 2), "at the node");
  assert.equal(words("node", 1, 0, 1), "delivered");
  assert.equal(words("node", 2, 0, 3), "delivered to 2 of 3");
  assert.equal(words("node", 1, 1, 1), "read");
  assert.equal(words("node", 3, 2, 3), "read by 2 of 3");
  assert.equal(words("failed", 1, 1, 1), "not sent");
  assert.equal(words("kept", 1, 1, 1), "kept here, not in the node’s history");
  assert.equal(words("unheard of"), "");
});

test("who looks closer sees both counts", () => {
  const whole = (/** @type {string} */ state, got = 0, read = 0, of = 3) => wholeStanding(state, { got, read, of, kept: true });
  assert.equal(whole("node"), "at the node");
  assert.equal(whole("queued"), "queued on this device");
  assert.equal(whole("node", 2), "at the node, delivered to 2 of 3");
  assert.equal(whole("node", 3, 1), "at the node, delivered to 3 of 3, read by 1");
});

test("in a room where nobody has said anything of it, nothing is known", () => {
  assert.deepEqual(counts(told()).of(sent(1)), { got: 0, read: 0, of: 2 });
});
