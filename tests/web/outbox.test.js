// The outbox keeps the author's order, sends again on every other link, and never gives a message up by itself.
import assert from "node:assert/strict";
import { test } from "node:test";

import { empty, nextTry, postpone, put, RESEND_MS, take, without } from "../../web/js/outbox.js";

const WIDE = { count: 64, bytes: 1e6, alone: false };
const message = (/** @type {string} */ id, bytes = 100) => ({ id, hlc: id, sealed: { env: id }, bytes });
const boxOf = (/** @type {string[]} */ ...ids) => ids.reduce((box, id) => put(box, message(id)), empty);
const ids = (/** @type {readonly {id: string}[]} */ list) => list.map(({ id }) => id).join("");

test("messages leave in the author's order, once per link", () => {
  const first = take(boxOf("a", "b", "c"), 1, 0, WIDE);
  assert.equal(ids(first.batch), "abc");
  assert.equal(ids(take(first.box, 1, 10, WIDE).batch), "");
  assert.equal(ids(take(put(first.box, message("d")), 1, 10, WIDE).batch), "d");
});

test("a message that comes back from an earlier visit stands before what was written since", () => {
  const sent = take(boxOf("c", "d"), 1, 0, WIDE).box;
  const box = put(put(sent, message("a")), message("b"));
  assert.equal(ids(box), "abcd");
  assert.equal(ids(take(box, 1, 10, WIDE).batch), "ab");
  assert.equal(ids(take(box, 2, 20, WIDE).batch), "abcd");
});

test("a change of rung sends everything unacked again", () => {
  const sent = take(boxOf("a", "b", "c"), 1, 0, WIDE).box;
  assert.equal(ids(take(without(sent, "b"), 2, 10, WIDE).batch), "ac");
});

test("an ack that does not come is asked for again on the same link", () => {
  const sent = take(boxOf("a"), 1, 0, WIDE).box;
  assert.equal(ids(take(sent, 1, RESEND_MS - 1, WIDE).batch), "");
  assert.equal(ids(take(sent, 1, RESEND_MS, WIDE).batch), "a");
  assert.equal(nextTry(sent, 1), RESEND_MS);
});

test("polling has one batch under way at a time", () => {
  const alone = { ...WIDE, alone: true };
  const first = take(boxOf("a", "b"), 1, 0, alone);
  assert.equal(ids(first.batch), "ab");
  const more = put(first.box, message("c"));
  assert.equal(ids(take(more, 1, 1, alone).batch), "");
  assert.equal(ids(take(without(more, "a"), 1, 1, alone).batch), "");
  assert.equal(ids(take(without(without(more, "a"), "b"), 1, 1, alone).batch), "c");
});

test("a batch stays inside the window, but a single large message still goes", () => {
  const box = boxOf("a", "b", "c");
  assert.equal(ids(take(box, 1, 0, { ...WIDE, count: 2 }).batch), "ab");
  assert.equal(ids(take(box, 1, 0, { ...WIDE, bytes: 250 }).batch), "ab");
  assert.equal(ids(take(box, 1, 0, { ...WIDE, bytes: 10 }).batch), "a");
});

test("a message that must wait holds back those behind it", () => {
  const sent = take(boxOf("a", "b", "c"), 1, 0, WIDE).box;
  const waiting = put(postpone(without(sent, "a"), "b", 500), message("d"));
  assert.equal(ids(take(waiting, 1, 100, WIDE).batch), "");
  assert.equal(nextTry(waiting, 1), 0);
  assert.equal(ids(take(waiting, 1, 500, WIDE).batch), "bd");
});

test("a message sealed anew keeps its place and is due again", () => {
  const sent = take(boxOf("a", "b"), 1, 0, WIDE).box;
  const again = put(sent, { ...message("a"), sealed: { env: "a2" } });
  const { batch } = take(again, 1, 1, WIDE);
  assert.deepEqual(batch.map(({ sealed }) => sealed.env), ["a2"]);
  assert.equal(ids(again), "ab");
});

test("an empty box has nothing to wait for", () => {
  assert.equal(nextTry(empty, 1), Infinity);
  assert.equal(without(empty, "a"), empty);
});
