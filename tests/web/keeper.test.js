// What waits outlives its tab: it comes back, once, in the author's order, in the tab that is left.
import assert from "node:assert/strict";
import { test } from "node:test";

import { openIdentity } from "../../web/js/identity.js";
import { OwnMessages } from "../../web/js/own-messages.js";
import { Streams } from "../../web/js/streams.js";
import { timeline } from "../../web/js/timeline.js";
import { Unsent } from "../../web/js/unsent.js";
import { fakeProfile, fakeWorld, settle } from "./fakes.js";

const { crypto } = globalThis;
const identity = await openIdentity({ crypto, indexedDB: undefined });
const guest = await openIdentity({ crypto: /** @type {any} */ ({}), indexedDB: undefined });
const worlds = fakeWorld();

/**
 * One tab of a profile in one room; `sent` is what left on its link, while it has one.
 * @param {ReturnType<typeof fakeProfile>} profile
 * @param {{name?: string, as?: typeof identity, online?: boolean, room?: string}} [how]
 */
async function tab(profile, { name = "Ann", as = identity, online = false, room = "r" } = {}) {
  /** @type {any[]} */
  const sent = [];
  const link = { send: (/** @type {any} */ frame) => sent.push(JSON.parse(frame.env)), activate() {}, refresh() {}, close() {} };
  const state = { online };
  const self = () => ({ peerId: as.peerId ?? `guest:${name}`, name });
  const shown = timeline();
  const own = new OwnMessages({
    world: /** @type {any} */ (worlds), room, identity: as, self, own: new Set(), keepOwn: () => {}, changed: () => {},
    log: /** @type {any} */ ({ timeline: shown, copies: new Map(), acked: () => {} }),
    nodeNow: () => worlds.wall(), limits: () => ({ textBytes: 16_384, frameBytes: 65_536 }),
    current: () => (state.online ? { number: 1, link, window: { count: 64, bytes: 60_000, alone: false } } : null),
    keeps: () => true, pause: () => 0, sealed: () => {}, store: profile.store, streams: new Streams({ locks: profile.locks, channel: profile.channel() }),
  });
  own.start();
  await settle();
  const lines = () => shown.lines.map(({ text, state: standing, reason }) => `${text} ${standing}${reason ? `: ${reason}` : ""}`);
  const goOnline = async () => {
    state.online = true;
    own.sender.pump();
    await settle();
  };
  const say = async (/** @type {string[]} */ ...texts) => {
    for (const text of texts) {
      await worlds.pass(5);
      own.say(text);
    }
    await settle();
  };
  const ack = (/** @type {any} */ env) => own.acked(/** @type {any} */ ({ type: "ack", id: env.id, seq: 1, log_id: "a".repeat(16), at: 1 }));
  return { own, sent, shown, lines, say, goOnline, ack, texts: () => sent.map(({ body }) => body.text), stop: () => own.stop() };
}

test("what waited when its tab went is sent by the next one, under the same ids and signatures, before anything new", async () => {
  const profile = fakeProfile();
  const one = await tab(profile);
  await one.say("one", "two");
  const ids = profile.ids();
  one.stop();
  const two = await tab(profile);
  assert.deepEqual(two.lines(), ["one queued", "two queued"]);
  await two.say("three");
  await two.goOnline();
  assert.deepEqual(two.texts(), ["one", "two", "three"]);
  assert.deepEqual(two.sent.slice(0, 2).map(({ id }) => id), ids);
  for (const env of two.sent) two.ack(env);
  await settle();
  assert.deepEqual([two.own.waiting, profile.ids()], [0, []]);
});

test("a message leaves the store once it is acked, or once it is seen in the log", async () => {
  const profile = fakeProfile();
  const one = await tab(profile, { online: true });
  await one.say("one", "two");
  assert.equal(profile.rows.size, 2);
  one.ack(one.sent[0]);
  await settle();
  assert.deepEqual(profile.ids(), [one.sent[1].id]);
  one.own.seen(/** @type {any} */ ({ ...one.shown.lines[1], mine: true }));
  await settle();
  assert.deepEqual(profile.ids(), []);
});

test("two tabs send each its own; when one goes the other sends what it left, once", async () => {
  const profile = fakeProfile();
  const [one, two, three] = [await tab(profile), await tab(profile, { online: true }), await tab(profile, { online: true })];
  await one.say("of one");
  await two.say("of two");
  assert.deepEqual([two.texts(), three.texts()], [["of two"], []]);
  one.stop();
  await settle();
  assert.deepEqual([...two.texts(), ...three.texts()].sort(), ["of one", "of two"]);
  const [adopter, other] = two.texts().length === 2 ? [two, three] : [three, two];
  adopter.stop();
  await settle();
  assert.equal(other.texts().includes("of one"), true, "its adopter went before the ack");
});

test("without locks a new tab sends what it finds; the id keeps it single", async () => {
  const profile = fakeProfile({ locks: false });
  const one = await tab(profile, { as: guest });
  await one.say("one");
  const two = await tab(profile, { as: guest, online: true });
  assert.deepEqual(two.texts(), ["one"]);
  assert.equal(two.sent[0].id, [...profile.ids()][0]);
});

test("what was refused stays red with its reason over a reload, until it is sent again or deleted", async () => {
  const profile = fakeProfile();
  const one = await tab(profile, { online: true });
  await one.say("bad", "worse");
  for (const { id } of [...one.sent]) one.own.sender.fault({ id, code: "forbidden", detail: "not here", retry: null, now: null });
  await settle();
  one.stop();
  const two = await tab(profile, { online: true });
  assert.deepEqual([two.lines(), two.texts()], [["bad failed: not here", "worse failed: not here"], []]);
  two.own.sayAgain(/** @type {any} */ (two.shown.lines[0]));
  two.own.discard(/** @type {any} */ (two.shown.lines[0]));
  await settle();
  assert.deepEqual(two.lines(), ["bad queued"]);
  two.ack(two.sent[0]);
  await settle();
  assert.deepEqual(profile.ids(), []);
});

test("what a guest wrote under another label is not sent under this one unasked", async () => {
  const profile = fakeProfile();
  const one = await tab(profile, { as: guest, name: "Ann" });
  await one.say("hello");
  one.stop();
  const two = await tab(profile, { as: guest, name: "Bea", online: true });
  assert.deepEqual([two.lines(), two.texts()], [["hello failed: Written as “Ann”, which is not your name here now."], []]);
  two.own.sayAgain(/** @type {any} */ (two.shown.lines[0]));
  await settle();
  assert.deepEqual([two.lines(), two.sent.map(({ sender }) => sender)], [["hello queued"], ["guest:Bea"]]);
  assert.equal(profile.rows.size, 1);
});

test("a guest who comes back under its label finds what it wrote on its way", async () => {
  const profile = fakeProfile();
  const one = await tab(profile, { as: guest, name: "Ann" });
  await one.say("hello");
  one.stop();
  (await tab(profile, { as: guest, name: "Bea", online: true })).stop();
  const back = await tab(profile, { as: guest, name: "Ann", online: true });
  assert.deepEqual(back.texts(), ["hello"]);
});

test("a browser that keeps nothing still sends, and says that it would lose what waits", async () => {
  const profile = fakeProfile({ refuses: true });
  const one = await tab(profile);
  await one.say("one");
  assert.deepEqual([one.own.fragile, profile.rows.size], [true, 0]);
  await one.goOnline();
  assert.deepEqual(one.texts(), ["one"]);
  one.ack(one.sent[0]);
  assert.equal(one.own.fragile, false);
  const kept = await tab(fakeProfile());
  await kept.say("two");
  assert.equal(kept.own.fragile, false);
});

test("forgetting a room loses what waits there, and neither another room nor what an open tab will send", async () => {
  const profile = fakeProfile();
  const unsent = new Unsent(profile.store, profile.locks);
  assert.equal(await unsent.count("r"), 0);
  const gone = await tab(profile);
  await gone.say("one", "two");
  assert.equal(await unsent.count("r"), 0, "its own tab still sends them");
  gone.stop();
  await settle();
  assert.equal(await unsent.count("r"), 2);
  const other = await tab(profile, { room: "other" });
  await other.say("elsewhere");
  other.stop();
  await settle();
  await unsent.drop("r");
  assert.deepEqual([await unsent.count("r"), await unsent.count("other"), profile.rows.size], [0, 1, 1]);
  const back = await tab(profile, { online: true });
  assert.deepEqual([back.lines(), back.texts()], [[], []]);
});

test("what was refused, and what waits where no tab can be told from another, is lost with the room too", async () => {
  const profile = fakeProfile({ locks: false });
  const one = await tab(profile, { online: true });
  await one.say("bad", "good");
  one.own.sender.fault({ id: one.sent[0].id, code: "forbidden", detail: "not here", retry: null, now: null });
  await settle();
  const unsent = new Unsent(profile.store, profile.locks);
  assert.equal(await unsent.count("r"), 2);
  await unsent.drop("r");
  assert.equal(profile.rows.size, 0);
  assert.equal(await new Unsent(fakeProfile({ refuses: true }).store, undefined).count("r"), 0);
});
