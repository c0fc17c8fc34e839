// A person joins with the first session and leaves with the last; a fresh roster tells only what changed.
import assert from "node:assert/strict";
import { test } from "node:test";

import { applied, difference, empty, rosterOf } from "../../web/js/roster.js";

const frame = (/** @type {string} */ type, session = "s1", name = "Ann", peer = "p1") =>
  ({ type, peer_id: peer, session, name, verified: true });
const told = (/** @type {readonly {what: string, person: {name: string}}[]} */ news) =>
  news.map(({ what, person }) => `${what} ${person.name}`).join(", ");

test("two tabs of one person are one joining and one leaving", () => {
  const one = applied(empty, frame("peer_joined"));
  const two = applied(one.roster, frame("peer_joined", "s2"));
  const back = applied(two.roster, frame("peer_left", "s1"));
  const gone = applied(back.roster, frame("peer_left", "s2"));
  assert.deepEqual([one, two, back, gone].map(({ news }) => told(news)), ["joined Ann", "", "", "left Ann"]);
  assert.equal(two.roster.size, 1);
  assert.deepEqual(two.roster.get("p1")?.sessions, ["s1", "s2"]);
  assert.equal(gone.roster.size, 0);
});

test("the same joining twice counts once, a leaving of a stranger is nothing", () => {
  const one = applied(applied(empty, frame("peer_joined")).roster, frame("peer_joined"));
  assert.deepEqual(one.roster.get("p1")?.sessions, ["s1"]);
  assert.equal(told(applied(one.roster, frame("peer_left", "s9", "Bob", "p2")).news), "");
});

test("a new name is told once and only for somebody who is here", () => {
  const one = applied(empty, frame("peer_joined"));
  const named = applied(one.roster, frame("peer_named", "s1", "Anna"));
  assert.deepEqual(named.news, [{ what: "renamed", person: named.roster.get("p1"), before: "Ann" }]);
  assert.deepEqual(named.roster.get("p1")?.sessions, ["s1"]);
  assert.equal(applied(empty, frame("peer_named")).roster.size, 0);
});

test("a fresh roster after a pause tells who came and went meanwhile", () => {
  const row = (/** @type {string} */ peer, /** @type {string} */ name) =>
    ({ peer_id: peer, name, verified: false, sessions: ["x"] });
  const before = rosterOf([row("a", "Ann"), row("b", "Bob"), row("c", "Cid")]);
  const after = rosterOf([row("b", "Bob"), row("c", "Cyd"), row("d", "Dan")]);
  assert.equal(told(difference(before, after)), "left Ann, renamed Cyd, joined Dan");
  assert.deepEqual(difference(after, after), []);
});
