// What a page says of itself: only what it holds without a hole and has shown, only when that changed, once a second.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Log } from "../../web/js/log.js";
import { Peers } from "../../web/js/peers.js";
import { Receipting } from "../../web/js/receipting.js";
import { httpPolling } from "../../web/js/rungs/http-polling.js";
import * as timelines from "../../web/js/timeline.js";
import { fakeWorld, settle } from "./fakes.js";

const LOG = "00000000000000aa";
const OTHER = "00000000000000bb";
const message = (/** @type {number} */ seq, sender = "ben") => ({
  id: `m${seq}`, sender, hlc: `018bcfe56b${seq.toString(16).padStart(2, "0")}-0000`, name: "x", kind: "text", text: "x",
  verified: true, mine: sender === "me", seq, at: 5,
});

/** A page whose history has come, with the messages up to `head`. */
function page({ head = 10, mark = "" } = {}) {
  const world = fakeWorld();
  const log = new Log({
    world: /** @type {any} */ (world), room: "r", mark, verify: /** @type {any} */ (null), isMine: () => false,
    seen: () => {}, replaced: () => {}, changed: () => {},
  });
  const state = { shares: true, up: true, roster: new Map([["me", {}], ["ben", {}]]) };
  /** @type {any[]} */
  const said = [];
  const receipting = new Receipting({
    world: /** @type {any} */ (world), log, self: () => "me", roster: () => /** @type {any} */ (state.roster),
    shares: () => state.shares, kept: () => true,
    send: (frame) => state.up && said.push(frame) > 0,
  });
  timelines.follow(log.timeline, { logId: LOG, floor: 0, head });
  for (let seq = 1; seq <= head; seq += 1) timelines.logged(log.timeline, message(seq), true);
  log.history.loaded = true;
  const add = (/** @type {number[]} */ ...seqs) => {
    for (const seq of seqs) timelines.logged(log.timeline, message(seq));
    receipting.note();
  };
  return { world, log, state, said, receipting, add };
}
const word = (/** @type {number} */ got, read = 0, logId = LOG) => ({ type: "receipt", log_id: logId, got, read });

test("a page says what it holds, then what it has shown, and nothing twice", async () => {
  const { world, log, said, receipting } = page();
  receipting.note();
  await world.pass(300);
  assert.deepEqual(said, [word(10)]);
  assert.equal(log.unseen, true);
  assert.equal(log.markRead(), `${LOG}.10`);
  assert.equal(log.unseen, false);
  for (let count = 0; count < 9; count += 1) receipting.note();
  await world.pass(5_000);
  assert.deepEqual(said, [word(10), word(10, 10)]);
});

test("fifty messages in a second make two words, a minute of them sixty", async () => {
  const { world, said, add } = page();
  for (let seq = 11; seq <= 60; seq += 1) {
    add(seq);
    await world.pass(20);
  }
  await world.pass(1_500);
  assert.equal(said.length, 2);
  assert.deepEqual(said.at(-1), word(60));
});

test("nothing is said before the history has come, and only what is held without a hole", async () => {
  const { world, log, said, add, receipting } = page();
  log.history.loaded = false;
  receipting.note();
  await world.pass(2_000);
  assert.deepEqual(said, []);
  assert.equal(log.unseen, false);
  log.history.loaded = true;
  add(12, 13);
  log.markRead();
  await world.pass(2_000);
  assert.deepEqual(said, [word(10, 10)]);
  add(11);
  await world.pass(2_000);
  assert.deepEqual(said.at(-1), word(13, 13));
});

test("what this profile read on an earlier visit is read, in the same log", async () => {
  const one = page({ mark: `${LOG}.7` });
  one.receipting.note();
  await one.world.pass(300);
  assert.deepEqual(one.said, [word(10, 7)]);
  const other = page({ mark: `${OTHER}.7` });
  other.receipting.note();
  await other.world.pass(300);
  assert.deepEqual(other.said, [word(10)]);
});

test("another way to the node is told anew; without one the word waits for the next", async () => {
  const { world, said, state, receipting } = page();
  state.up = false;
  receipting.renew();
  await world.pass(2_000);
  assert.deepEqual(said, []);
  state.up = true;
  receipting.renew();
  await world.pass(2_000);
  receipting.renew();
  await world.pass(2_000);
  assert.deepEqual(said, [word(10), word(10)]);
});

test("switched off nothing is said; switched on everything is", async () => {
  const { world, said, state, add, receipting } = page();
  state.shares = false;
  receipting.note();
  for (let seq = 11; seq < 20; seq += 1) {
    add(seq);
    await world.pass(1_000);
  }
  assert.deepEqual(said, []);
  assert.deepEqual(receipting.said(), []);
  state.shares = true;
  receipting.renew();
  assert.deepEqual(receipting.said(), []);
  await world.pass(1_500);
  assert.deepEqual(said, [word(19)]);
  assert.deepEqual(receipting.said(), said);
  state.shares = false;
  assert.deepEqual(receipting.said(), []);
});

test("a page that is closed says nothing more", async () => {
  const { world, said, receipting } = page();
  receipting.note();
  receipting.stop();
  await world.pass(2_000);
  assert.deepEqual(said, []);
});

test("what is told is counted until somebody comes, goes, or says more", () => {
  const { receipting, state, log } = page();
  const line = /** @type {any} */ ({ ...message(4, "me"), state: "node" });
  assert.deepEqual(receipting.of(line), { got: 0, read: 0, of: 1, kept: true });
  const rows = [{ peer_id: "ben", session: "1", got: 5, read: 4 }, { peer_id: "ben", session: "2", got: "x", read: 4 }];
  assert.equal(receipting.told({ type: "receipts", log_id: LOG, rows }), true);
  assert.equal(receipting.told({ type: "receipts", log_id: LOG, rows }), false);
  assert.deepEqual(receipting.of(line), { got: 1, read: 1, of: 1, kept: true });
  assert.equal(receipting.tally(), receipting.tally());
  state.roster = new Map([["me", {}], ["ben", {}], ["cy", {}]]);
  assert.deepEqual(receipting.of(line), { got: 1, read: 1, of: 2, kept: true });
  assert.equal(receipting.told({ type: "welcome", log_id: LOG, receipts: [{ peer_id: "cy", session: "1", got: 9, read: 0 }] }), true);
  assert.equal(receipting.told({ type: "welcome", log_id: LOG }), false);
  assert.deepEqual(receipting.who(line), { got: ["ben", "cy"], read: ["ben"] });
  timelines.queue(log.timeline, { ...message(0, "me"), id: "q" });
  assert.equal(receipting.handed("ben", ["q", "not mine", "m4"]), true);
  assert.equal(receipting.handed("ben", ["not mine", "m4"]), false);
  assert.deepEqual(receipting.of(/** @type {any} */ ({ id: "q", seq: null })).got, 1);
});

test("word on a direct path goes out in one frame, and says when it is not to be shown", async () => {
  const world = fakeWorld();
  let quiet = false;
  /** @type {any[]} */
  const heard = [];
  const peers = new Peers(/** @type {any} */ ({
    world, self: () => ({ peerId: "me", session: "1" }), quiet: () => quiet,
    got: (/** @type {any[]} */ ...got) => heard.push(got),
  }));
  /** @type {any[]} */
  const sent = [];
  const ben = { key: "ben 2", remote: { peerId: "ben", session: "2" }, send: (/** @type {any} */ frame) => sent.push(frame) };
  peers.held.set(ben.key, /** @type {any} */ (ben));
  for (const id of ["a", "b"]) peers.confirm(ben.remote, id);
  await world.pass(50);
  quiet = true;
  peers.confirm(ben.remote, "c");
  await world.pass(50);
  assert.deepEqual(sent, [{ type: "got", ids: ["a", "b"] }, { type: "got", ids: ["c"], quiet: true }]);
  for (const frame of sent) peers.heard(/** @type {any} */ (ben), frame, "webrtc-stun");
  assert.deepEqual(heard, [[ben.remote, ["a", "b"], false], [ben.remote, ["c"], true]]);
});

test("polls ask by the tag they have and bring receipts like a socket's", async () => {
  let polls = 0;
  const receipts = { tag: "T", log_id: LOG, rows: [] };
  const answers = [{ receipts }, { receipts: { tag: 7, log_id: 9, rows: [] } }, { receipts: null }, {}];
  const world = fakeWorld((path) => {
    if (path !== "/poll") return { peer_id: "p", token: "t", log_id: LOG, head: 3, floor: 0, now: 5, roster: [], turn: null, nonce: "N" };
    polls += 1;
    return answers[polls - 1] ? { frames: [], next: `${LOG}.3`, now: 1, ...answers[polls - 1] } : new Promise(() => {});
  });
  /** @type {any[]} */
  const frames = [];
  const context = /** @type {any} */ ({
    world, room: "r", signs: true, word: () => [word(3)], cursor: () => null, token: () => "t", keepToken: () => {}, proof: async () => ({}),
  });
  const told = { opened: () => {}, frame: (/** @type {any} */ frame) => frames.push(frame), roster: () => {}, ended: () => {}, heard: () => {} };
  answers.unshift({});
  const link = httpPolling.dial(context, /** @type {any} */ (told));
  await settle();
  link.activate(true);
  await settle();
  const asked = world.asked.filter(({ path }) => path === "/poll").map(({ body }) => body.receipts);
  assert.deepEqual(asked, [undefined, "", "T", "T", "T", "T"]);
  const carried = world.asked.filter(({ path }) => path === "/poll").map(({ body }) => body.frames);
  assert.deepEqual(carried.slice(1), Array.from({ length: 5 }, () => [word(3)]), "the word is repeated with every poll that reads");
  assert.deepEqual(frames, [{ type: "receipts", ...receipts }]);
});
