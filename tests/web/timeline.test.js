// What a page shows: local echoes and logged copies as one list, in order, once, with gaps and unread lines known.

import assert from "node:assert/strict";
import { test } from "node:test";

import { format } from "../../web/js/hlc.js";
import {
  acked, failed, firstUnread, follow, logged, markRead, olderThan, queue, reset, timeline,
} from "../../web/js/timeline.js";

const LOG = "00000000000000aa";
const ME = "guest:ann";
const BEN = "guest:ben";

const said = (ms, { sender = BEN, id = `m${ms}`, counter = 0, text = `said at ${ms}` } = {}) => ({
  sender, id, hlc: format(ms, counter), name: sender.slice(6), kind: "text", text, verified: false, mine: sender === ME,
});
const stored = (seq, message) => ({ ...message, seq, at: 1_000_000 + seq });
const ids = (room) => room.lines.map(({ id }) => id);
const states = (room) => room.lines.map(({ id, state }) => `${id} ${state}`);

/** A room whose log has `head` messages before the page came. */
function roomAt(head = 0, floor = 0) {
  const room = timeline();
  follow(room, { logId: LOG, floor, head });
  return room;
}

/** The room keeps one line per key, in order, and counts what is unread. */
function sound(room) {
  const order = room.lines.map(({ hlc, sender, id }) => [hlc, sender, id].join(" "));
  assert.deepEqual(order, order.toSorted());
  assert.equal(new Set(room.lines.map(({ sender, id }) => `${sender} ${id}`)).size, room.lines.length);
  assert.equal(room.held.size, room.lines.length);
  for (const line of room.lines) assert.equal(room.held.get(`${line.sender}\n${line.id}`), line);
  const unread = room.lines.filter(({ mine, seq }) => !mine && seq !== null && room.read !== null && seq > room.read);
  assert.equal(room.unread, unread.length);
  assert.equal(firstUnread(room), unread[0] ? room.lines.indexOf(unread[0]) : -1);
}

test("an own message is shown at once and becomes logged in the same place, ack first", () => {
  const room = roomAt();
  const mine = said(10, { sender: ME });
  const shown = queue(room, mine);
  assert.deepEqual([shown.what, shown.index, shown.line.state, shown.line.seq], ["inserted", 0, "queued", null]);
  const ack = acked(room, { sender: ME, id: "m10", seq: 1, at: 500 });
  assert.deepEqual([ack.what, ack.index, ack.line.state, ack.line.seq, ack.line.at], ["changed", 0, "node", 1, 500]);
  assert.equal(logged(room, stored(1, mine)).what, "same");
  assert.equal(room.lines.length, 1);
  assert.equal(room.unread, 0);
  sound(room);
});

test("an own message becomes logged in the same place, message first", () => {
  const room = roomAt();
  queue(room, said(10, { sender: ME }));
  const copy = logged(room, { ...stored(1, said(10, { sender: ME })), mine: false });
  assert.deepEqual([copy.what, copy.line.state, copy.line.mine, copy.line.late], ["changed", "node", true, false]);
  assert.equal(acked(room, { sender: ME, id: "m10", seq: 1, at: 500 }).what, "same");
  sound(room);
});

test("lines stand in the order of hlc, sender, id, whatever order they come in", () => {
  const room = roomAt();
  const messages = [
    said(5, { sender: BEN, id: "b" }), said(5, { sender: ME, id: "a" }), said(5, { sender: BEN, id: "a" }),
    said(4, { counter: 1, id: "c" }), said(4, { id: "d" }), said(6, { id: "e" }),
  ];
  messages.forEach((message, index) => {
    logged(room, stored(index + 1, message));
    sound(room);
  });
  assert.deepEqual(room.lines.map(({ sender, id }) => `${sender} ${id}`),
    ["guest:ben d", "guest:ben c", "guest:ann a", "guest:ben a", "guest:ben b", "guest:ben e"]);
});

test("copies are dropped, and the same id of another sender is another message", () => {
  const room = roomAt();
  assert.equal(logged(room, stored(1, said(1, { id: "x" }))).what, "inserted");
  assert.deepEqual(logged(room, stored(1, said(1, { id: "x", text: "forged" }))).what, "same");
  assert.equal(logged(room, stored(2, said(1, { id: "x", sender: ME }))).what, "inserted");
  assert.deepEqual(room.lines.map(({ text }) => text), ["said at 1", "said at 1"]);
  sound(room);
});

test("the log's copy is the truth about an own message", () => {
  const room = roomAt();
  queue(room, said(10, { sender: ME, text: "as typed" }));
  logged(room, stored(1, said(10, { sender: ME, text: "as logged" })));
  assert.equal(room.lines[0].text, "as logged");
});

test("a line that comes in above the newest logged one is late, by so much", () => {
  const room = roomAt();
  assert.equal(logged(room, stored(1, said(1000))).line.late, false);
  assert.equal(logged(room, stored(2, said(9000))).line.late, false);
  const { line, index } = logged(room, stored(3, said(4000)));
  assert.deepEqual([line.late, line.behind, index], [true, 5000, 1]);
  const same = logged(room, stored(4, said(9000, { id: "a" })));
  assert.deepEqual([same.line.late, same.line.behind], [true, 0]);
  sound(room);
});

test("a line is not late above what only waits here, nor in an older page, nor as the own echo", () => {
  const room = roomAt(2);
  queue(room, said(9000, { sender: ME }));
  assert.equal(logged(room, stored(3, said(8000))).line.late, false);
  assert.equal(logged(room, stored(2, said(2000)), true).line.late, false);
  assert.equal(logged(room, stored(1, said(1000)), true).line.late, false);
  logged(room, stored(4, said(9500)));
  assert.equal(logged(room, stored(5, said(9000, { sender: ME }))).line.late, false);
  assert.deepEqual(ids(room), ["m1000", "m2000", "m8000", "m9000", "m9500"]);
  sound(room);
});

test("what was late stays late when the log changes under it", () => {
  const room = roomAt();
  logged(room, stored(1, said(9000)));
  logged(room, stored(2, said(4000)));
  follow(room, { logId: "00000000000000bb", floor: 0, head: 0 });
  assert.deepEqual([logged(room, stored(1, said(4000))).line].map(({ late, behind }) => [late, behind]), [[true, 5000]]);
});

test("a refused message shows why and can be sent again", () => {
  const room = roomAt();
  const mine = said(10, { sender: ME });
  queue(room, mine);
  const refused = failed(room, { sender: ME, id: "m10", reason: "too long" });
  assert.deepEqual([refused.what, refused.line.state, refused.line.reason], ["changed", "failed", "too long"]);
  assert.equal(failed(room, { sender: ME, id: "m10", reason: "again" }).line.reason, "too long");
  const again = queue(room, mine);
  assert.deepEqual([again.what, again.line.state, again.line.reason], ["changed", "queued", null]);
  acked(room, { sender: ME, id: "m10", seq: 1, at: 5 });
  assert.equal(failed(room, { sender: ME, id: "m10", reason: "late refusal" }).line.state, "node");
  assert.equal(queue(room, mine).what, "same");
  sound(room);
});

test("an ack after a refusal, or a copy in the log, ends the failure", () => {
  const room = roomAt();
  for (const ms of [10, 20]) {
    queue(room, said(ms, { sender: ME }));
    failed(room, { sender: ME, id: `m${ms}`, reason: "timeout" });
  }
  acked(room, { sender: ME, id: "m10", seq: 1, at: 5 });
  logged(room, stored(2, said(20, { sender: ME })));
  assert.deepEqual(room.lines.map(({ state, reason }) => [state, reason]), [["node", null], ["node", null]]);
});

test("a message stamped again moves to its new place", () => {
  const room = roomAt();
  queue(room, said(10, { sender: ME, id: "x" }));
  logged(room, stored(1, said(20)));
  assert.equal(queue(room, said(10, { sender: ME, id: "x" })).what, "same");
  const moved = queue(room, said(30, { sender: ME, id: "x" }));
  assert.deepEqual([moved.what, moved.from, moved.index], ["moved", 0, 1]);
  const logCopy = logged(room, stored(2, said(15, { sender: ME, id: "x" })));
  assert.deepEqual([logCopy.what, logCopy.from, logCopy.index], ["moved", 1, 0]);
  assert.deepEqual(ids(room), ["x", "m20"]);
  sound(room);
});

test("an ack or a refusal of a message that is not shown changes nothing", () => {
  const room = roomAt();
  assert.equal(acked(room, { sender: ME, id: "nobody", seq: 7, at: 1 }), null);
  assert.equal(failed(room, { sender: ME, id: "nobody", reason: "" }), null);
  assert.deepEqual(room.spans, [{ from: 0, to: 0 }]);
});

test("a gap is told when it opens and until it is filled; an ack counts as held", () => {
  const room = roomAt(100);
  assert.equal(logged(room, stored(101, said(1))).gap, null);
  queue(room, said(4, { sender: ME }));
  assert.deepEqual(acked(room, { sender: ME, id: "m4", seq: 104, at: 0 }).gap, { from: 101, to: 103 });
  assert.deepEqual(logged(room, stored(105, said(5))).gap, { from: 101, to: 103 });
  assert.deepEqual(logged(room, stored(103, said(3))).gap, { from: 101, to: 102 });
  assert.equal(logged(room, stored(102, said(2))).gap, null);
  assert.deepEqual(room.spans, [{ from: 100, to: 105 }]);
});

test("after a reconnect everything up to the head is a gap", () => {
  const room = roomAt(10);
  logged(room, stored(11, said(11)));
  assert.deepEqual(follow(room, { logId: LOG, floor: 0, head: 15 }), []);
  assert.deepEqual(room.spans, [{ from: 10, to: 11 }, { from: 15, to: 15 }]);
  assert.equal(room.read, 10);
});

test("older pages are asked for until the floor", () => {
  const room = timeline();
  assert.equal(olderThan(room), null);
  follow(room, { logId: LOG, floor: 2, head: 4 });
  assert.equal(olderThan(room), 4);
  logged(room, stored(4, said(4)), true);
  assert.equal(olderThan(room), 3);
  logged(room, stored(3, said(3)), true);
  assert.equal(olderThan(room), null);
});

test("what is unread goes by seq, not by place, and leaves out what is mine", () => {
  const room = roomAt(2);
  logged(room, stored(2, said(200)), true);
  logged(room, stored(1, said(100)), true);
  assert.equal(room.unread, 0);
  logged(room, stored(3, said(150)));
  logged(room, stored(4, said(300, { sender: ME })));
  logged(room, stored(5, said(400)));
  assert.equal(room.unread, 2);
  assert.equal(firstUnread(room), 1);
  sound(room);
  markRead(room, 4);
  assert.deepEqual([room.unread, firstUnread(room)], [1, 4]);
  markRead(room, 3);
  assert.equal(room.read, 4);
  markRead(room, 5);
  assert.deepEqual([room.unread, firstUnread(room)], [0, -1]);
});

test("an earlier visit says what is unread since", () => {
  const room = timeline({ logId: LOG, read: 1 });
  follow(room, { logId: LOG, floor: 0, head: 3 });
  for (const seq of [3, 2, 1]) logged(room, stored(seq, said(seq)), true);
  assert.equal(room.unread, 2);
  const replaced = timeline({ logId: "00000000000000bb", read: 1 });
  follow(replaced, { logId: LOG, floor: 0, head: 3 });
  assert.equal(replaced.read, 3);
});

test("before anything is known nothing is unread, and marking it read holds", () => {
  const room = timeline();
  logged(room, stored(1, said(1)));
  assert.equal(room.unread, 0);
  markRead(room, 1);
  assert.equal(room.read, 1);
});

test("another log: what was logged is kept here only, and comes back without being new", () => {
  const room = roomAt();
  queue(room, said(1, { sender: ME }));
  acked(room, { sender: ME, id: "m1", seq: 1, at: 1 });
  logged(room, stored(2, said(2)));
  queue(room, said(3, { sender: ME }));
  const kept = follow(room, { logId: "00000000000000bb", floor: 0, head: 1 });
  assert.deepEqual(kept.map(({ id }) => id), ["m1", "m2"]);
  assert.deepEqual(states(room), ["m1 kept", "m2 kept", "m3 queued"]);
  assert.deepEqual([room.spans, room.read, room.unread], [[{ from: 1, to: 1 }], 1, 0]);
  assert.deepEqual(queue(room, said(1, { sender: ME })).line.state, "queued");
  assert.deepEqual(logged(room, stored(1, said(2)), true).line.state, "node");
  sound(room);
});

test("lines below a raised floor are kept here only", () => {
  const room = roomAt();
  for (const seq of [1, 2, 3]) logged(room, stored(seq, said(seq)));
  assert.deepEqual(follow(room, { logId: LOG, floor: 2, head: 3 }).map(({ seq }) => seq), [null, null]);
  assert.deepEqual(states(room), ["m1 kept", "m2 kept", "m3 node"]);
  assert.deepEqual([room.spans, olderThan(room), room.unread], [[{ from: 2, to: 3 }], null, 1]);
  sound(room);
});

test("a reset to a lower head keeps what lies above it here only", () => {
  const room = roomAt();
  for (const seq of [1, 2, 3]) logged(room, stored(seq, said(seq)));
  markRead(room, 3);
  assert.deepEqual(reset(room, { logId: LOG, floor: 0, head: 1 }).map(({ id }) => id), ["m2", "m3"]);
  assert.deepEqual([states(room), room.spans, room.read], [["m1 node", "m2 kept", "m3 kept"], [{ from: 0, to: 1 }], 1]);
  logged(room, stored(2, said(4)));
  assert.equal(room.unread, 1);
  sound(room);
});

test("a reset before anything was read", () => {
  const room = timeline();
  assert.deepEqual(reset(room, { logId: LOG, floor: 0, head: 5 }), []);
  assert.equal(room.read, 5);
});

/** Numbers below `end` that are the same in every run. */
function dice(seed) {
  let word = seed;
  return (end) => {
    word = (Math.imul(word, 1664525) + 1013904223) >>> 0;
    return Math.floor((word / 2 ** 32) * end);
  };
}

test("whatever comes in whatever order, the room stays sound and ends the same", () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const roll = dice(seed);
    const log = Array.from({ length: 30 }, (_, index) => stored(index + 1,
      said(roll(40), { id: `m${index}`, sender: roll(3) === 0 ? ME : BEN })));
    const room = roomAt();
    const waiting = [...log, ...log.slice(0, 10)];
    while (waiting.length > 0) {
      const [message] = waiting.splice(roll(waiting.length), 1);
      const { seq, at, ...bare } = message;
      if (message.mine && roll(2) === 0) queue(room, bare);
      if (message.mine && roll(3) === 0) failed(room, { ...bare, reason: "timeout" });
      if (message.mine && roll(3) === 0) acked(room, { ...bare, seq, at });
      const { line, index } = logged(room, message, roll(2) === 0);
      assert.equal(room.lines[index], line);
      sound(room);
    }
    const order = log.map(({ hlc, sender, id }) => `${hlc} ${sender} ${id}`).toSorted();
    assert.deepEqual(ids(room), order.map((key) => key.split(" ")[2]));
    assert.deepEqual(room.spans, [{ from: 0, to: 30 }]);
    assert.equal(room.lines.every(({ state }) => state === "node"), true);
  }
});

test("ten thousand messages are merged in a moment, as they come or page by page from the newest", () => {
  const ascending = Array.from({ length: 10_000 }, (_, index) => index + 1);
  for (const [seqs, head] of [[ascending, 0], [ascending.toReversed(), ascending.length]]) {
    const began = process.cpuUsage();
    const room = roomAt(head);
    for (const seq of seqs) logged(room, stored(seq, said(seq)), head > 0);
    assert.equal(room.lines.length, seqs.length);
    assert.deepEqual(room.spans, [{ from: 0, to: 10_000 }]);
    assert.ok(process.cpuUsage(began).user < 2_000_000, "two seconds of CPU are far too much");
  }
});
