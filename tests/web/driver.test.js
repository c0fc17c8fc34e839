// The driver: a restart's closed sockets are not all told of in one instant, and pages do not come back in step.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Driver } from "../../web/js/driver.js";
import { NODE_LADDER } from "../../web/js/ladder/policy.js";
import { fakeRung, fakeWorld } from "./fakes.js";

const WS = "websocket-direct";
const POLL = "http-polling";
const RESTART = { what: "closed", evidence: "the node is restarting", final: false, code: "1012" };
const BROKEN = { ...RESTART, evidence: "it broke off", code: "1006" };

/** A page with both links open that draws this byte whenever it draws. @param {number} byte */
async function page(byte) {
  const world = { ...fakeWorld(), random: (/** @type {number} */ count) => new Uint8Array(count).fill(byte) };
  const [ws, poll] = [fakeRung(WS), fakeRung(POLL)];
  /** @type {[number, string | null][]} */
  const used = [];
  const driver = new Driver({
    kinds: new Map([[WS, ws], [POLL, poll]]), config: NODE_LADDER, allowed: [WS, POLL],
    context: /** @type {any} */ ({ world }),
    told: {
      opened() {}, frame() {}, roster() {}, refused() {}, changed() {},
      use: (/** @type {string | null} */ rung) => used.push([world.now(), rung]),
    },
  });
  driver.start();
  ws.last.events.opened(null);
  await world.pass(600);
  poll.last.events.opened(null);
  await world.pass(5_500);
  return { world, ws, poll, used, driver };
}

/** How long after its socket's end a page took the other rung, and dialled the socket again. */
async function away(/** @type {number} */ byte, ending = RESTART) {
  const { world, ws, used, driver } = await page(byte);
  const end = world.now();
  ws.last.events.ended(ending);
  assert.equal(driver.current() === null, ending === RESTART, "nothing is sent on a socket that has ended");
  while (ws.links.length < 2 && world.now() - end < 10_000) await world.pass(100);
  driver.stop();
  const [taken, rung] = used.at(-1) ?? [0, null];
  assert.equal(rung, POLL);
  return { other: taken - end, again: world.now() - end };
}

test("pages whose sockets end with a restart in one instant turn to the other rung one by one, and back", async () => {
  const found = await Promise.all(Array.from({ length: 16 }, (_, index) => away(index * 16)));
  for (const [index, { other, again }] of found.entries()) {
    assert.ok(Math.abs(other - index * 62.5) < 1, `${index}: ${other}`);
    assert.ok(again >= 2000 + index * 187.5 && again <= 2100 + index * 187.5, `${index}: ${again}`);
  }
});

test("a socket that breaks off alone is made up for at once, and dialled again within four seconds", async () => {
  assert.equal((await away(255, BROKEN)).other, 0);
  assert.ok((await away(0, BROKEN)).again <= 2_100);
  const { again } = await away(255, BROKEN);
  assert.ok(again > 3_900 && again <= 4_000, String(again));
});

test("what was hung up meanwhile is not told of as closed", async () => {
  const { world, ws, driver } = await page(255);
  ws.last.events.ended(RESTART);
  await world.pass(500);
  driver.rejoin();
  assert.equal(ws.links.length, 2);
  ws.last.events.opened(null);
  await world.pass(1_000);
  assert.equal(driver.state.active, WS);
  ws.last.events.ended(RESTART);
  driver.stop();
  await world.pass(10_000);
  assert.equal(ws.links.length, 2);
});
