// Names of people and rooms: what is suggested is accepted, what a node would refuse is said before.
import assert from "node:assert/strict";
import { test } from "node:test";

import { cleanName, friendlyName, initials, nameProblem, roomFrom, roomProblem } from "../../web/js/names.js";

test("every suggested name is one the node takes", () => {
  for (let first = 0; first < 256; first += 1) {
    const name = friendlyName(Uint8Array.of(first, 255 - first));
    assert.match(name, /^[A-Z][a-z]+ [A-Z][a-z]+$/);
    assert.equal(cleanName(name), name);
    assert.equal(nameProblem(name), null);
  }
});

test("a typed name is brought into the nearest accepted form", () => {
  assert.equal(cleanName("  Ann \t  Lee  "), "Ann Lee");
  assert.equal(cleanName("<b>Ann</b>"), "b Ann b");
  assert.equal(cleanName("Zoe\u0308"), "Zoë");
  assert.equal(cleanName("李 小龍"), "李 小龍");
  assert.equal(cleanName("a\u202Eb\u0000c"), "a b c");
  assert.equal(Array.from(cleanName("𝒳".repeat(100))).length, 64);
  assert.equal(cleanName("!!!"), "");
});

test("reserved names and the form of a key's hash are refused before they are sent", () => {
  for (const name of ["", "!!!", "Admin", "EGOAT", "a2".repeat(13), "ｎｏｄｅ"]) assert.notEqual(nameProblem(name), null, name);
  for (const name of ["Ann", "a2".repeat(12), "admin2"]) assert.equal(nameProblem(name), null, name);
});

test("a room is found in its name and in a pasted link", () => {
  assert.equal(roomFrom(" goats101 "), "goats101");
  assert.equal(roomFrom("my room"), "my-room");
  assert.equal(roomFrom("http://host:8080/?room=goats101"), "goats101");
  assert.equal(roomFrom("https://host/?room=b%C3%BCro&peer_id=x#y"), "büro");
  assert.equal(roomFrom("http://host/?room=%E0%A4%A"), "");
});

test("room names a node refuses are named with the reason", () => {
  for (const room of ["", ".", "..", "a b", "a/b", "x".repeat(65), "a2".repeat(16)]) {
    assert.notEqual(roomProblem(room), null, room);
  }
  for (const room of ["goats101", "büro", "部屋", "a2".repeat(13), "A2".repeat(16)]) assert.equal(roomProblem(room), null, room);
});

test("initials stand for a person", () => {
  assert.equal(initials("Amber Fox"), "AF");
  assert.equal(initials("ann"), "A");
  assert.equal(initials("Anna Maria von Berg"), "AB");
  assert.equal(initials("…"), "…");
  assert.equal(initials(""), "?");
});
