// Liveness of a link: echoes are asked for in silence, silence is death within five seconds, sleep is not.
import assert from "node:assert/strict";
import { test } from "node:test";

import { answered, beat, fresh, heard, qualityOf } from "../../web/js/echo.js";
import { guess, learn, nodeTime, notBefore } from "../../web/js/node-clock.js";

/**
 * Beats twice a second from `from` to `to`; `reply` says after how long an asked echo comes back.
 * @param {import("../../web/js/echo.js").Echo} start
 */
function run(start, /** @type {number} */ from, /** @type {number} */ to, reply = Infinity, every = 1500) {
  let echo = start;
  /** @type {number[]} */
  const asks = [];
  let due = Infinity;
  let mark = 0;
  for (let now = from; now <= to; now += 500) {
    if (due <= now) {
      echo = answered(echo, mark, due);
      due = Infinity;
    }
    const next = beat(echo, every, now);
    echo = next.echo;
    if (next.dead) return { echo, asks, dead: now };
    if (next.ask !== null) {
      asks.push(now);
      mark = next.ask;
      due = now + reply;
    }
  }
  return { echo, asks, dead: null };
}

test("a fresh link is asked at once, then after 1.5 s of quiet", () => {
  const { asks, dead, echo } = run(fresh(0), 0, 5000, 40);
  assert.deepEqual(asks.slice(0, 3), [0, 2000, 4000]);
  assert.equal(dead, null);
  assert.equal(Math.round(qualityOf(echo)?.rtt ?? 0), 40);
});

test("a silent link is dead within five seconds of the last sign of life", () => {
  const { dead } = run(run(fresh(0), 0, 10_000, 40).echo, 10_500, 30_000);
  assert.ok(dead !== null && dead <= 15_000, String(dead));
  assert.ok((run(fresh(0), 0, 30_000).dead ?? Infinity) <= 5000);
});

test("a link that falls silent right after an answer to something else is dead within five seconds too", () => {
  const asked = beat(fresh(0), 1500, 0).echo;
  for (let at = 10; at < 2000; at += 130) {
    const { dead } = run(heard(asked, at), 450 + 500 * Math.floor((at + 49) / 500), 30_000);
    assert.ok(dead !== null && dead - at <= 5000, `${at}: ${dead}`);
  }
});

test("anything that comes in counts as life, and a figure is still measured in traffic", () => {
  let echo = fresh(0);
  let asks = 0;
  for (let now = 0; now <= 20_000; now += 500) {
    const next = beat(heard(echo, now), 1500, now);
    assert.equal(next.dead, false);
    if (next.ask !== null) asks += 1;
    echo = next.ask === null ? next.echo : answered(next.echo, next.ask, now + 5);
  }
  assert.ok(asks >= 3 && asks <= 6, String(asks));
});

test("each echo that stays out for two seconds counts as lost, once", () => {
  let echo = beat(fresh(0), 1500, 0).echo;
  for (let now = 500; now <= 6000; now += 500) echo = beat(heard(echo, now), 1500, now).echo;
  const lost = echo.echoes.filter((value) => value === null).length;
  assert.equal(lost, 3, "asked at 0, 2 and 4 s");
  assert.equal(answered(echo, -1, 6000).echoes, echo.echoes);
});

test("a page that slept asks first and judges then", () => {
  const awake = run(fresh(0), 0, 2000, 40).echo;
  const woke = beat(awake, 1500, 3_600_000);
  assert.equal(woke.dead, false);
  assert.notEqual(woke.ask, null);
  const { dead } = run(woke.echo, 3_600_500, 3_620_000);
  assert.ok(dead !== null && dead <= 3_605_000, String(dead));
});

test("a standby is asked rarely", () => {
  assert.deepEqual(run(fresh(0), 0, 45_000, 40, 20_000).asks.length, 3);
});

test("the node's clock is learnt from the sharpest answer and follows a jump", () => {
  const first = learn(guess(50, 10), 1_000_000, 400, 1000);
  assert.equal(nodeTime(first, 1000), 1_000_300);
  const sharper = learn(first, 1_000_010, 1990, 2000);
  assert.equal(sharper.offset, 998_015);
  assert.equal(nodeTime(guess(50, 10), 12), 52, "the device's own clock, for want of better");
  assert.equal(nodeTime(notBefore(sharper, 2_000_000, 2500), 2500), 2_000_000);
  assert.equal(notBefore(sharper, 1_000_000, 2500), sharper);
  assert.equal(notBefore(guess(50, 10), 2_000_000, 2500).offset, 40, "a first guess waits for an answer");
  assert.equal(learn(sharper, 999_999, 2000, 2600), sharper);
  assert.equal(Math.round(learn(sharper, 5_000_000, 3000, 3100).offset / 1000), 4997);
});
