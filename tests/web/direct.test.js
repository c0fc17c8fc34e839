// Direct paths of a room without a browser: copies that come directly, what must reach the log, who is called, and who answers.
import assert from "node:assert/strict";
import { test } from "node:test";

import { keyOf } from "../../web/js/log.js";
import { worth } from "../../web/js/mesh.js";
import { settle } from "./fakes.js";
import { ack, guest, joined, shown, STUN, stranger, TURN, words, WS } from "./rooms.js";

const SESSION = "b".repeat(16);
/** @param {any} person */
const rosterOf = (person, sessions = [SESSION]) => [{ peer_id: person.peerId, name: "Bob", sessions, verified: true }];

/** A room with somebody in direct reach on webrtc-stun. */
async function reached(browser = undefined, who = {}) {
  const bob = await stranger();
  const parts = await joined(browser, rosterOf(bob), who);
  await parts.world.pass(10);
  parts.stun.last?.events.opened(null);
  await settle();
  return { ...parts, bob };
}

/** @param {any} parts @param {any} sealed comes directly, and was checked */
const arrives = async ({ room, stun }, sealed) => {
  stun.last.events.frame({ type: "message", ...sealed });
  await room.direct.taking;
  await settle();
};
const direct = (/** @type {any} */ link) => link.sent.filter((/** @type {any} */ { type }) => type === "message").map((/** @type {any} */ { env }) => JSON.parse(env).body.text);
const signals = (/** @type {any} */ link, /** @type {string} */ type) => link.sent.filter((/** @type {any} */ frame) => frame.type === type);

test("a message that comes directly shows at once, and the log's copy becomes the same line", async () => {
  const parts = await reached();
  const { room, ws, log, bob } = parts;
  const sealed = await bob("hello");
  await arrives(parts, sealed);
  assert.deepEqual(shown(room), ["hello direct"]);
  ws.last.events.frame(log.add(sealed));
  await settle();
  assert.deepEqual(shown(room), ["hello node"]);
  const [line] = room.timeline.lines;
  assert.deepEqual(room.log.arrivals.of(keyOf(line)).map(({ rung }) => rung), [STUN, WS]);
  await arrives(parts, sealed);
  assert.equal(room.timeline.lines.length, 1);
});

test("word of what came goes back, several in one", async () => {
  const { stun, world, bob } = await reached();
  for (const text of ["one", "two"]) stun.last.events.frame({ type: "message", ...(await bob(text)) });
  await settle();
  await world.pass(50);
  assert.deepEqual(stun.last.sent.filter(({ type }) => type === "got"), [{ type: "got", ids: ["m1", "m2"] }]);
});

test("forged, foreign, early and empty messages are not shown from a direct link either", async () => {
  const parts = await reached();
  const { room, bob, world } = parts;
  const good = await bob("good");
  const edit = (/** @type {any} */ more) => ({ ...good, env: JSON.stringify({ ...JSON.parse(good.env), ...more }) });
  const ahead = (world.wall() + 120_000).toString(16).padStart(12, "0");
  const other = await stranger();
  for (const bad of [
    { ...good, sig: undefined }, edit({ id: "other" }), edit({ room: "elsewhere" }), edit({ hlc: `${ahead}-0000` }),
    { ...good, env: "{" }, { env: JSON.stringify({ ...JSON.parse(good.env), sender: "guest:Eve" }) },
    await other("not mine", bob.peerId),
  ]) await arrives(parts, bad);
  assert.deepEqual(shown(room), []);
  await arrives(parts, good);
  assert.deepEqual(shown(room), ["good direct"]);
});

test("what came directly and is missing from the log for three seconds is brought there by this page", async () => {
  const parts = await reached();
  const { ws, world, bob, log } = parts;
  const [kept, lost] = [await bob("kept"), await bob("lost")];
  await arrives(parts, kept);
  await arrives(parts, lost);
  ws.last.events.frame(log.add(kept));
  await world.pass(2_900);
  assert.deepEqual(words(ws.last), []);
  await world.pass(2_000);
  assert.deepEqual(words(ws.last), ["lost"]);
  ws.last.events.frame(ack(JSON.parse(lost.env), 2));
  await world.pass(20_000);
  assert.deepEqual(words(ws.last), ["lost"]);
});

test("a message of no log stays out of it, whoever holds it", async () => {
  const parts = await reached();
  const { room, ws, world } = parts;
  const eve = await stranger();
  const sealed = await eve("off the record");
  await arrives(parts, { ...sealed, env: sealed.env.replace(/}$/, ',"keep":false}') });
  assert.deepEqual(shown(room), [], "its signature covers the wish");
  await world.pass(10_000);
  assert.deepEqual(words(ws.last), []);
});

test("own messages go out directly and to the node; who comes into reach later gets what the node lacks", async () => {
  const { room, ws, stun, world } = await reached();
  room.mine.say("one");
  await settle();
  assert.deepEqual([direct(stun.last), words(ws.last)], [["one"], ["one"]]);
  const first = stun.last;
  first.events.ended({ what: "closed", evidence: "gone", final: false, code: "closed" });
  await settle();
  room.mine.say("two");
  await settle();
  ws.last.events.frame(ack(ws.last.said[0], 1));
  await world.pass(5_000);
  assert.notEqual(stun.last, first);
  stun.last.events.opened(null);
  await settle();
  assert.deepEqual(direct(stun.last), ["two"]);
});

test("under p2p-only nothing leaves by the node, and arrived means that somebody has it", async () => {
  const { room, ws, stun } = await reached(undefined, { strategy: "p2p-only" });
  room.mine.say("between us");
  await settle();
  assert.deepEqual(words(ws.last), []);
  assert.deepEqual(direct(stun.last), ["between us"]);
  const env = JSON.parse(stun.last.sent.find(({ type }) => type === "message").env);
  assert.equal(env.keep, false);
  assert.deepEqual(shown(room), ["between us queued"]);
  stun.last.events.frame({ type: "got", ids: [env.id] });
  await settle();
  assert.deepEqual(shown(room), ["between us direct"]);
  assert.equal(room.mine.waiting, 0);
});

test("an offer is answered by a dial of the same rung, a stale one is dropped, a rung out of use says no", async () => {
  const bob = { peerId: "guest:Bob" };
  const { room, ws, stun, turn, world } = await joined(undefined, [{ peer_id: bob.peerId, name: "Bob", sessions: [SESSION], verified: false }], { strategy: "webrtc-stun" });
  await world.pass(10);
  const call = async (/** @type {string} */ rung, /** @type {number} */ n) => {
    ws.last.events.frame({
      type: "offer", peer_id: bob.peerId, session: SESSION, payload: { rung, attempt: `${SESSION}-${n}`, sdp: "v=0\r\na=fingerprint:sha-256 AA:BB\r\n" },
    });
    await settle();
  };
  assert.equal(stun.links.length, 1);
  await call(STUN, 5);
  assert.equal(stun.links.length, 2, "the old dial makes way");
  assert.equal(stun.last.context.takeCall(STUN), null, "a dial takes its call once");
  await call(STUN, 4);
  assert.equal(stun.links.length, 2);
  await call(TURN, 6);
  assert.equal(turn.links.length, 0);
  const [no] = signals(ws.last, "answer");
  assert.deepEqual([no.target_peer_id, no.target_session, no.payload.rung, typeof no.payload.refused], [bob.peerId, SESSION, TURN, "string"]);
  room.choose("websocket-only", null);
  assert.ok(stun.last.closed);
});

test("what nobody signed ends no link that is up, and bars no later offer", async () => {
  const { ws, stun, world, bob } = await reached();
  const live = stun.last;
  const forged = { rung: STUN, attempt: `${SESSION}-999999999`, sdp: "v=0\r\na=fingerprint:sha-256 AA:BB\r\n" };
  ws.last.events.frame({ type: "offer", peer_id: bob.peerId, session: SESSION, payload: forged });
  await world.pass(100);
  assert.equal(stun.last, live);
  assert.equal(live.closed, false);
});

test("a text that its author did not sign takes no proven one's place, and its mark neither", async () => {
  const parts = await reached();
  const { room, ws, log, bob } = parts;
  const sealed = await bob("what Bob said");
  await arrives(parts, sealed);
  ws.last.events.frame(log.add({ ...sealed, env: sealed.env.replace("what Bob said", "what Eve wrote") }));
  await settle();
  assert.deepEqual(shown(room), ["what Bob said node"]);
  const other = await bob("second");
  ws.last.events.frame(log.add({ ...other, env: other.env.replace("second", "forged") }));
  await settle();
  await arrives(parts, other);
  assert.equal(room.log.proofs.get(keyOf(room.timeline.lines[1] ?? { sender: "", id: "" })), "bad");
});

test("a message that another member sends under an own id settles nothing of this page", async () => {
  const { room, ws, stun, log, bob } = await reached();
  room.mine.say("mine");
  await settle();
  const [own] = ws.last.said;
  const copy = await bob("theirs");
  const stolen = { ...copy, env: copy.env.replace('"id":"m1"', `"id":"${own.id}"`) };
  ws.last.events.frame(log.add(stolen));
  await settle();
  assert.equal(room.mine.waiting, 1);
  assert.ok(stun.last);
});

test("a direct copy that nobody confirms goes again, and stops when it is confirmed", async () => {
  const { room, ws, stun, world } = await reached(undefined, { strategy: "p2p-only" });
  room.mine.say("anybody?");
  await settle();
  await world.pass(12_000);
  const count = direct(stun.last).length;
  assert.ok(count >= 2, String(count));
  const { id } = JSON.parse(stun.last.sent.find(({ type }) => type === "message").env);
  stun.last.events.frame({ type: "got", ids: [id] });
  await world.pass(20_000);
  assert.equal(direct(stun.last).length, count);
  assert.deepEqual(words(ws.last), []);
});

test("signals of no known form, or from nobody, start nothing", async () => {
  const bob = await stranger();
  const { ws, stun, world } = await joined(undefined, rosterOf(bob));
  await world.pass(10);
  const count = stun.links.length;
  const from = { type: "offer", peer_id: bob.peerId, session: SESSION };
  for (const payload of [null, 7, [], {}, { rung: "smoke", attempt: `${SESSION}-1` }, { rung: STUN, attempt: "x" }, { rung: STUN, attempt: `${SESSION}-1`, sdp: 7 }]) {
    ws.last.events.frame({ ...from, payload });
  }
  ws.last.events.frame({ ...from, peer_id: "nobody", payload: { rung: STUN, attempt: `${SESSION}-1`, sdp: "v=0" } });
  assert.equal(stun.links.length, count);
});

test("somebody who left by the node's word stays while the direct link lives, then goes", async () => {
  const { room, ws, stun, world, bob } = await reached();
  ws.last.events.frame({ type: "peer_left", peer_id: bob.peerId, room: "r", session: SESSION, name: "Bob", verified: true });
  await world.pass(1_000);
  assert.equal(room.direct.peers.held.size, 1);
  stun.last.events.ended({ what: "closed", evidence: "gone", final: false, code: "closed" });
  await settle();
  assert.equal(room.direct.peers.held.size, 0);
});

test("other tabs of this person are not called, other guests of one name are", async () => {
  const keyed = await joined();
  const own = [{ peer_id: keyed.room.peerId, name: "Ann", sessions: ["0".repeat(16), "c".repeat(16)], verified: true }];
  keyed.room.people.replace(own);
  keyed.room.metPeople();
  assert.equal(keyed.room.direct.peers.held.size, 0);
  const guests = await joined(guest);
  guests.room.people.replace([{ peer_id: "guest:Ann", name: "Ann", sessions: ["0".repeat(16), "c".repeat(16)], verified: false }]);
  guests.room.metPeople();
  assert.equal(guests.room.direct.peers.held.size, 1);
});

test("in a large room those who talk are worth a direct path, and keep it for a minute", () => {
  const others = ["a", "b", "c", "d"].map((peerId) => ({ peerId }));
  const nobody = () => false;
  assert.deepEqual(worth(others, new Map(), nobody, 9), others);
  const spoke = new Map([["d", 5], ["b", 7]]);
  assert.deepEqual(worth(others, spoke, nobody, 3).map(({ peerId }) => peerId), ["b", "d", "a"]);
  const isA = (/** @type {{peerId: string}} */ { peerId }) => peerId === "a";
  assert.deepEqual(worth(others, new Map([["a", 1_000], ["b", 50_000]]), isA, 1), [{ peerId: "a" }]);
  assert.deepEqual(worth(others, new Map([["a", 1_000], ["b", 62_000]]), isA, 1), [{ peerId: "b" }]);
});

test("a page in a crowd has so many direct paths, takes some that are asked of it, and says when it is full", async () => {
  const bob = await stranger();
  const session = (/** @type {number} */ number) => number.toString(16).padStart(16, "0");
  const sessions = Array.from({ length: 40 }, (_, number) => session(number + 100));
  const { room, ws, stun, world } = await joined(undefined, rosterOf(bob, sessions));
  await world.pass(10);
  const { peers } = room.direct;
  assert.equal(peers.held.size, 12);
  assert.equal(stun.links.length, 12);
  const call = (/** @type {string} */ from) => ws.last.events.frame({
    type: "offer", peer_id: bob.peerId, session: from, payload: { rung: STUN, attempt: `${from}-1`, sdp: "v=0" },
  });
  for (const from of sessions) call(from);
  assert.equal(peers.held.size, 24);
  assert.equal(signals(ws.last, "answer").filter(({ payload }) => /as many direct paths/.test(payload.refused)).length, 16);
  room.metPeople();
  assert.equal(peers.held.size, 24, "who was taken in stays");
});

test("who begins to talk in a crowd gets the place of somebody silent", async () => {
  const people = [];
  for (let number = 0; number < 14; number += 1) people.push(await stranger());
  const roster = people.map((person, number) => rosterOf(person, [number.toString(16).padStart(16, "0")])[0]);
  const { room, ws, log, world } = await joined(undefined, roster);
  await world.pass(10);
  const reached = () => new Set([...room.direct.peers.held.values()].map(({ remote }) => remote.peerId));
  const talker = people.find(({ peerId }) => !reached().has(peerId));
  assert.ok(talker);
  await world.pass(120_000);
  ws.last.events.frame(log.add(await talker("hello")));
  await world.pass(2_000);
  assert.ok(reached().has(talker.peerId));
  assert.equal(reached().size, 12);
});
