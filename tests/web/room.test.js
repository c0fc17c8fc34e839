// One room without a browser: messages, acks, changes of rung, faults, gaps, resets, forgeries and people.
import assert from "node:assert/strict";
import { test } from "node:test";

import { keyOf } from "../../web/js/log.js";
import { socketUrls } from "../../web/js/rungs/websocket-direct.js";
import { verifier, verifySealed } from "../../web/js/verify.js";
import { settle } from "./fakes.js";
import { ack, guest, joined, keyed, LOG, PLACE, shown, start, stranger, welcome, words, WS } from "./rooms.js";

const { crypto } = globalThis;

test("a message shows at once as queued and becomes at the node in place", async () => {
  const { room, ws } = await joined();
  room.mine.say("one");
  room.mine.say("two");
  assert.deepEqual(shown(room), ["one queued", "two queued"]);
  await settle();
  assert.deepEqual(words(ws.last), ["one", "two"]);
  ws.last.events.frame(ack(ws.last.said[0], 1));
  assert.deepEqual(shown(room), ["one node", "two queued"]);
  ws.last.events.frame(ack(ws.last.said[1], 2));
  assert.deepEqual(shown(room), ["one node", "two node"]);
  assert.equal(room.mine.waiting, 0);
});

test("what is written before any path is up leaves with the first one, signed by this key", async () => {
  const parts = await start();
  parts.room.mine.say("early");
  await settle();
  parts.ws.last.events.opened(welcome(parts));
  await settle();
  const [frame] = parts.ws.last.sent.filter(({ type }) => type === "send");
  assert.equal(JSON.parse(frame.env).sender, parts.identity.peerId);
  assert.equal(await verifySealed(verifier(crypto.subtle), parts.room.peerId, frame), "good");
});

test("a change of rung sends everything unacked again, under the same ids and in order", async () => {
  const { room, ws, poll, world } = await joined();
  await world.pass(600);
  poll.last.events.opened(null);
  for (const text of ["one", "two", "three"]) room.mine.say(text);
  await settle();
  const first = ws.last.said;
  ws.last.events.frame(ack(first[0], 1));
  ws.last.events.ended({ what: "closed", evidence: "gone", final: false, code: "1006" });
  await settle();
  assert.equal(poll.last.active, true);
  assert.deepEqual(poll.last.said, first.slice(1));
});

test("a link that falls silent is left within five seconds and the next one carries within ten", async () => {
  const { room, ws, poll, world } = await joined();
  await world.pass(600);
  poll.last.events.opened(null);
  await world.pass(3000);
  ws.last.alive = false;
  const cut = world.now();
  room.mine.say("through");
  while (room.driver.state.active === WS) await world.pass(100);
  assert.ok(world.now() - cut <= 5000, String(world.now() - cut));
  await settle();
  assert.deepEqual(words(poll.last), ["through"]);
  await world.pass(4000);
  assert.equal(ws.links.length, 2, "it dials the better rung again");
});

test("a device clock that is set while the page is open moves no stamp", async () => {
  const { room, ws, world } = await joined();
  const before = room.nodeNow();
  for (const jump of [86_400_000, -2 * 86_400_000]) {
    world.wallOffset += jump;
    room.mine.say(`after ${jump}`);
  }
  await settle();
  assert.equal(room.nodeNow(), before);
  assert.ok(ws.last.said.every(({ hlc }) => Math.abs(parseInt(hlc.slice(0, 12), 16) - before) < 1000));
});

test("a node clock that leapt back refuses a stamp, is learnt, and the message goes again under its id", async () => {
  const { room, ws, world } = await joined();
  room.mine.say("future");
  room.mine.say("later");
  await settle();
  const [future, later] = ws.last.said;
  const now = world.wall() - 3_600_000;
  for (const env of [future, later]) {
    ws.last.events.frame({ type: "fault", code: "clock", detail: "ahead", retry: 0, id: env.id, now });
  }
  await settle();
  const again = ws.last.said.slice(2);
  assert.deepEqual(again.map(({ id }) => id), [future.id, later.id]);
  assert.ok(again.every(({ hlc }) => parseInt(hlc.slice(0, 12), 16) - now < 1000));
  assert.deepEqual(shown(room), ["future queued", "later queued"]);
  assert.ok(Math.abs(room.nodeNow() - now) < 1000);
});

test("what is stamped again stays behind what the node has taken with a stamp that was ahead, but not too far", async () => {
  const { room, ws, world } = await joined();
  for (const text of ["taken", "under way", "refused"]) {
    room.mine.say(text);
    await world.pass(2_000);
  }
  const said = ws.last.said;
  const now = world.wall() - 62_500;
  ws.last.events.frame(ack(said[0], 1));
  ws.last.events.frame({ type: "fault", code: "clock", detail: "ahead", retry: 0, id: said[2].id, now });
  await settle();
  const [again] = ws.last.said.slice(3);
  assert.equal(again.id, said[2].id);
  assert.ok(again.hlc > said[1].hlc, `${again.hlc} after ${said[1].hlc}`);
  assert.deepEqual(shown(room), ["taken node", "under way queued", "refused queued"]);
});

test("a clock that leapt back by an hour is followed although the node has taken later stamps", async () => {
  const { room, ws, world } = await joined();
  for (const text of ["taken", "refused"]) room.mine.say(text);
  await settle();
  const [taken, refused] = ws.last.said;
  const now = world.wall() - 3_600_000;
  ws.last.events.frame(ack(taken, 1));
  ws.last.events.frame({ type: "fault", code: "clock", detail: "ahead", retry: 0, id: refused.id, now });
  await settle();
  const again = ws.last.said.slice(2);
  assert.deepEqual(again.map(({ id }) => id), [refused.id]);
  assert.ok(parseInt(again[0].hlc.slice(0, 12), 16) - now < 1000);
});

test("a final fault turns the message red with its reason; trying again keeps its id", async () => {
  const { room, ws } = await joined();
  room.mine.say("bad");
  await settle();
  const [env] = ws.last.said;
  ws.last.events.frame({ type: "fault", code: "too_large", detail: "a text has at most 16,384 bytes", retry: null, id: env.id });
  assert.equal(room.timeline.lines[0]?.state, "failed");
  assert.equal(room.timeline.lines[0]?.reason, "a text has at most 16,384 bytes");
  room.mine.sayAgain(/** @type {any} */ (room.timeline.lines[0]));
  await settle();
  assert.equal(ws.last.said[1].id, env.id);
  assert.deepEqual(shown(room), ["bad queued"]);
});

test("a fault for the moment is waited out in order", async () => {
  const { room, ws, world } = await joined();
  room.mine.say("one");
  await settle();
  ws.last.events.frame({ type: "fault", code: "unavailable", detail: "storage is away", retry: 1, id: ws.last.said[0].id });
  room.mine.say("two");
  await settle();
  assert.deepEqual(words(ws.last), ["one"]);
  await world.pass(1100);
  assert.deepEqual(words(ws.last), ["one", "one", "two"]);
  assert.deepEqual(shown(room), ["one queued", "two queued"]);
});

test("history, live messages and the holes between them become one list without repeats", async () => {
  const say = await stranger();
  const parts = await start(keyed, [await say("a"), await say("b")]);
  const { room, ws, log } = parts;
  ws.last.events.opened(welcome(parts));
  const frames = [];
  for (const text of ["c", "d", "e"]) frames.push(log.add(await say(text)));
  ws.last.events.frame(frames[2]);
  ws.last.events.frame(frames[2]);
  ws.last.events.frame(frames[0]);
  await parts.world.pass(600);
  assert.deepEqual(shown(room), ["a node", "b node", "c node", "d node", "e node"]);
  assert.equal(room.log.cursor(), `${LOG}.5`);
});

test("a joining carries the cursor of what is held without a hole", async () => {
  const parts = await start(keyed, [await (await stranger())("a")]);
  assert.equal(parts.ws.last.context.cursor(), `${LOG}.1`);
});

test("a message under another's name is shown as such, a guest's as a guest's", async () => {
  const { room, ws, log } = await joined();
  const say = await stranger();
  const honest = await say("honest");
  const forged = await say("forged", room.peerId);
  const changed = await say("changed");
  ws.last.events.frame(log.add(honest));
  ws.last.events.frame(log.add(forged));
  ws.last.events.frame(log.add({ ...changed, env: changed.env.replace("changed", "altered") }));
  ws.last.events.frame(log.add({ env: (await say("hi", "guest:Eve")).env }));
  await settle();
  const proofs = room.timeline.lines.map((line) => `${line.text} ${room.log.proofs.get(keyOf(line))}`);
  assert.deepEqual(proofs, ["honest good", "forged bad", "altered bad", "hi guest"]);
  assert.equal(room.timeline.lines.at(-1)?.verified, false);
});

test("unknown kinds and unreadable envelopes keep their place and are not taken for text", async () => {
  const { room, ws, log } = await joined();
  const odd = { id: "x", room: "r", sender: "guest:Eve", kind: "poll", hlc: "018bcfe56800-0000", body: { text: "no" } };
  ws.last.events.frame(log.add({ env: JSON.stringify(odd) }));
  ws.last.events.frame(log.add({ env: "{" }));
  ws.last.events.frame(log.add({ env: JSON.stringify({ ...odd, id: "y", room: "other", kind: "text" }) }));
  await settle();
  assert.deepEqual(room.timeline.lines.map(({ text }) => text), [null, null, null]);
  assert.equal(room.log.cursor(), `${LOG}.3`);
});

test("a replaced log keeps what only this page holds, says so, and offers to send its own again", async () => {
  const { room, ws, log } = await joined();
  room.mine.say("mine");
  await settle();
  const sealed = ws.last.sent.at(-1);
  ws.last.events.frame(log.add({ env: sealed.env, sig: sealed.sig, pk: sealed.pk }));
  await settle();
  log.id = "00000000000000bb";
  log.rows = [];
  ws.last.events.frame({ type: "reset", reason: "log", floor: 0, head: 0, log_id: log.id });
  await settle();
  assert.deepEqual(shown(room), ["mine kept"]);
  assert.match(room.notes.list.at(-1)?.text ?? "", /replaced/);
  room.mine.sayAgain(/** @type {any} */ (room.timeline.lines[0]));
  await settle();
  assert.deepEqual(ws.last.sent.at(-1), sealed);
  ws.last.events.frame({ ...ack(JSON.parse(sealed.env), 1), log_id: log.id });
  assert.deepEqual(shown(room), ["mine node"]);
});

test("what a spare link tells of the people does not replace what the link in use has told since", async () => {
  const parts = await joined();
  const { room, ws, poll, world } = parts;
  await world.pass(600);
  const earlier = welcome(parts);
  ws.last.events.frame({ type: "peer_joined", peer_id: "p2", room: "r", session: "s1", name: "Bob", verified: true });
  poll.last.events.opened(earlier);
  assert.deepEqual(room.present().map(({ name }) => name), ["Ann", "Bob"]);
});

test("news of the network, however often, give a silent link no time anew", async () => {
  const { room, ws, poll, world } = await joined();
  await world.pass(600);
  poll.last.events.opened(null);
  await world.pass(3000);
  ws.last.alive = false;
  const cut = world.now();
  while (room.driver.state.active === WS && world.now() - cut <= 5000) {
    await world.pass(400);
    room.wake();
  }
  assert.notEqual(room.driver.state.active, WS);
});

test("people join and leave once, whatever their number of tabs; oneself is no news", async () => {
  const { room, ws } = await joined();
  const frame = (/** @type {string} */ type, session = "s1", peer = "p2", name = "Bob") =>
    ({ type, peer_id: peer, room: "r", session, name, verified: true });
  for (const item of [frame("peer_joined"), frame("peer_joined", "s2"), frame("peer_left"), frame("peer_left", "s2"),
    frame("peer_joined", "mine", room.peerId, "Ann"), { ...frame("peer_joined", "s3"), room: "other" }]) {
    ws.last.events.frame(item);
  }
  assert.deepEqual(room.notes.list.map(({ text }) => text), ["Bob joined", "Bob left"]);
  assert.deepEqual(room.present().map(({ name }) => name), ["Ann"]);
});

test("a verified peer changes its name in place, a guest joins anew and keeps its own messages", async () => {
  const one = await joined();
  one.room.rename("Anna");
  assert.deepEqual(one.ws.last.sent.at(-1), { type: "name", name: "Anna" });
  assert.equal(one.ws.links.length, 1);
  const two = await joined(guest);
  two.room.mine.say("by Ann");
  await settle();
  assert.equal(two.room.rename("Anna"), false, "its message still waits under the old label");
  two.ws.last.events.frame(ack(two.ws.last.said[0], 1));
  assert.equal(two.room.rename("Anna"), true);
  assert.equal(two.room.peerId, "guest:Anna");
  assert.equal(two.ws.links.length, 2);
  assert.equal(two.ws.links[0]?.closed, true);
  assert.deepEqual(await two.ws.last.context.proof(""), { session: "0".repeat(16), name: "Anna" });
  two.room.rename("Ann");
  assert.equal((await two.ws.last.context.proof("")).token, "t", "its session under the old label is still its own");
  two.room.rename("Anna");
  assert.equal(two.room.timeline.lines[0]?.mine, true);
});

test("a join that is refused for good is told and not repeated until something changes", async () => {
  const { room, ws, world } = await start(guest);
  ws.last.events.ended({ what: "refused", evidence: "this name is reserved", final: true, code: "forbidden" });
  await world.pass(200_000);
  assert.equal(ws.links.length, 1);
  assert.equal(room.refusal?.evidence, "this name is reserved");
  room.rename("Else");
  await settle();
  assert.equal(ws.links.length, 2);
  assert.equal(room.refusal, null);
});

test("a text too large for the node is named before it is queued", async () => {
  const { room } = await joined();
  assert.equal(room.mine.textProblem("x".repeat(16_384)), null);
  assert.match(room.mine.textProblem("é".repeat(8_193)) ?? "", /16,386/);
  assert.match(room.mine.textProblem("\u0001".repeat(16_000)) ?? "", /too large/);
});

test("sockets are tried at the page's own origin first", () => {
  assert.deepEqual(socketUrls(PLACE, 9000), ["ws://node:8080/signal", "ws://node:9000/signal"]);
  assert.deepEqual(socketUrls({ ...PLACE, protocol: "https:" }, 9000)[0], "wss://node:8080/signal");
  assert.deepEqual(socketUrls(PLACE, null).length, 1);
});

test("receipts go out on the link in use and come in with frames and welcomes; without the node's wish none leaves", async () => {
  const parts = await start();
  const { room, ws, world } = parts;
  const receipt = (/** @type {number} */ got, read = 0) => ({ peer_id: "ben", session: "2".repeat(16), got, read });
  const told = () => ws.last.sent.filter(({ type }) => type === "receipt").map(({ got, read }) => [got, read]);
  const people = [{ peer_id: "ben", name: "Ben", verified: true, sessions: ["2".repeat(16)] }];
  ws.last.events.opened({ ...welcome(parts, /** @type {any} */ (people)), receipts: [receipt(1)] });
  await settle();
  room.mine.say("one");
  await settle();
  ws.last.events.frame(ack(ws.last.said[0], 1));
  await world.pass(2_000);
  assert.deepEqual(told(), []);
  const count = () => room.receipts.of(/** @type {any} */ (room.timeline.lines[0]));
  assert.deepEqual(count(), { got: 1, read: 0, of: 1, kept: true });
  room.learnNode({ ...room.facts, receipts: true }, { now: 0, asked: 0 });
  await world.pass(2_000);
  assert.deepEqual(told(), [[1, 0]]);
  room.markRead();
  await world.pass(2_000);
  assert.deepEqual(told(), [[1, 0], [1, 1]]);
  ws.last.events.frame({ type: "receipts", log_id: LOG, rows: [receipt(1, 1)] });
  assert.deepEqual(count(), { got: 1, read: 1, of: 1, kept: true });
  ws.last.events.frame({ type: "receipts", log_id: "00000000000000bb", rows: [receipt(9, 9)] });
  assert.deepEqual(count(), { got: 1, read: 1, of: 1, kept: true });
});
