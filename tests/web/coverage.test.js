// Held stretches of the log grow together and show their holes.
import assert from "node:assert/strict";
import { test } from "node:test";

import { cover, firstGap, readFrom, resumeAfter } from "../../web/js/coverage.js";

/** @param {[number, number][]} stretches */
const held = (...stretches) => stretches.reduce((spans, [from, to]) => cover(spans, from, to), /** @type {readonly any[]} */ ([]));

test("nothing is known at first", () => {
  assert.equal(resumeAfter([]), null);
  assert.equal(readFrom([]), null);
  assert.equal(firstGap([]), null);
});

test("touching and overlapping stretches become one, whatever their order", () => {
  assert.deepEqual(held([0, 3], [3, 5]), [{ from: 0, to: 5 }]);
  assert.deepEqual(held([3, 5], [0, 3]), [{ from: 0, to: 5 }]);
  assert.deepEqual(held([0, 4], [2, 8], [1, 2]), [{ from: 0, to: 8 }]);
  assert.deepEqual(held([0, 1], [4, 5], [1, 4]), [{ from: 0, to: 5 }]);
});

test("a hole is seen, resumed from its lower edge, and closed by what fills it", () => {
  const spans = held([40, 60], [64, 64]);
  assert.deepEqual(firstGap(spans), { from: 60, to: 64 });
  assert.equal(resumeAfter(spans), 60);
  assert.equal(readFrom(spans), 40);
  assert.equal(firstGap(cover(cover(spans, 60, 62), 62, 64)), null);
});

test("a place without content marks where the live messages begin", () => {
  assert.deepEqual(held([7, 7]), [{ from: 7, to: 7 }]);
  assert.deepEqual(held([7, 7], [7, 8]), [{ from: 7, to: 8 }]);
  assert.deepEqual(held([0, 7], [7, 7]), [{ from: 0, to: 7 }]);
});

test("a backward stretch changes nothing, and every message taken twice counts once", () => {
  assert.deepEqual(held([5, 2]), []);
  assert.deepEqual(held([0, 1], [1, 2], [0, 1], [1, 2]), [{ from: 0, to: 2 }]);
});

test("random arrival always ends in the stretches of the set of numbers", () => {
  let seed = 7;
  const random = () => (seed = (seed * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
  for (let round = 0; round < 200; round += 1) {
    const seen = new Set();
    let spans = /** @type {readonly any[]} */ ([]);
    for (let step = 0; step < 30; step += 1) {
      const seq = 1 + Math.floor(random() * 20);
      seen.add(seq);
      spans = cover(spans, seq - 1, seq);
    }
    const flat = spans.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, index) => from + 1 + index));
    assert.deepEqual(flat, [...seen].sort((one, other) => one - other));
    for (let index = 1; index < spans.length; index += 1) assert.ok(spans[index].from > spans[index - 1].to);
  }
});
