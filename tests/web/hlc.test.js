// The hybrid logical clock against the vectors it shares with its Python twin.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { format, observe, parse, stamp, tooFarAhead } from "../../web/js/hlc.js";

const vectors = JSON.parse(readFileSync(new URL("../vectors/hlc/hlc.json", import.meta.url), "utf8"));

for (const { name, last, now, stamp: expected } of vectors.stamp) {
  test(`stamp: ${name}`, () => {
    if (expected === null) assert.throws(() => stamp(last, now), RangeError);
    else assert.equal(stamp(last, now), expected);
  });
}

for (const { name, last, text, newest } of vectors.observe) {
  test(`observe: ${name}`, () => {
    if (newest === null) assert.throws(() => observe(last, text), RangeError);
    else assert.equal(observe(last, text), newest);
  });
}

for (const { name, text, now, ahead } of vectors.ahead) {
  test(`too far ahead: ${name}`, () => assert.equal(tooFarAhead(text, now), ahead));
}

test("only the fixed-width form is a stamp", () => {
  for (const text of vectors.malformed) assert.throws(() => parse(text), RangeError, JSON.stringify(text));
});

test("a part that does not fit is refused", () => {
  for (const [ms, counter] of [...vectors.unfit, [0.5, 0], [NaN, 0]]) assert.throws(() => format(ms, counter), RangeError);
});

test("text order is the order of the clock", () => {
  assert.deepEqual(vectors.ascending.toSorted(), vectors.ascending);
  const parsed = vectors.ascending.map(parse);
  assert.deepEqual(parsed.map(({ ms, counter }) => format(ms, counter)), vectors.ascending);
  const order = parsed.toSorted((one, other) => one.ms - other.ms || one.counter - other.counter);
  assert.deepEqual(order, parsed);
});

test("a fraction of a millisecond is dropped", () => {
  assert.equal(stamp("000000000000-0000", 1_760_000_000_000.9), "0199c82cc000-0000");
});
