// Bytes, ids, frames and envelopes between their wire forms and what the page works with.
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";

import { fromBase64url, toBase32, toBase64url, toHex } from "../../web/js/wire/bytes.js";
import * as codec from "../../web/js/wire/codec.js";
import { peerIdOf, roomName, uuid7 } from "../../web/js/wire/ids.js";

const bytes = (/** @type {string} */ text) => new TextEncoder().encode(text);

test("base32 follows the vectors of RFC 4648, lower case and unpadded", () => {
  const vectors = { "": "", f: "my", fo: "mzxq", foo: "mzxw6", foob: "mzxw6yq", fooba: "mzxw6ytb", foobar: "mzxw6ytboi" };
  for (const [plain, coded] of Object.entries(vectors)) assert.equal(toBase32(bytes(plain)), coded);
});

test("base64url agrees with node for every length and refuses what is not canonical", () => {
  for (let length = 0; length < 70; length += 1) {
    const raw = Uint8Array.from({ length }, (_, index) => (index * 37 + length) & 255);
    const text = Buffer.from(raw).toString("base64url");
    assert.equal(toBase64url(raw), text);
    assert.deepEqual(fromBase64url(text), raw);
  }
  for (const bad of ["A", "AB", "AAAA=", "AA+A", "A A", "é"]) assert.equal(fromBase64url(bad), null, bad);
});

test("a peer id is the hash of the raw key as the node computes it", () => {
  const { publicKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  const hash = createHash("sha256").update(raw).digest();
  assert.match(peerIdOf(hash), /^[a-z2-7]{26}$/);
  assert.equal(peerIdOf(hash), toBase32(hash).slice(0, 26));
});

test("ids made later sort later and have the form of UUID version 7", () => {
  const random = Uint8Array.from({ length: 10 }, () => 255);
  const ids = [0, 1, 1_700_000_000_000, 1_700_000_000_001, 2 ** 48 - 1].map((ms) => uuid7(ms, random));
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual([...ids].sort(), ids);
  assert.notEqual(uuid7(1, new Uint8Array(10)), uuid7(1, random));
});

test("a created room has 128 bits and stays clear of the reserved form", () => {
  const name = roomName(Uint8Array.from({ length: 16 }, (_, index) => index * 16));
  assert.match(name, /^[a-z2-7]{26}$/);
});

test("frames of known types pass with all their fields, everything else is null", () => {
  const ack = { type: "ack", id: "a", seq: 1, log_id: "0".repeat(16), at: 5, extra: true };
  assert.deepEqual(codec.decodeFrame(JSON.stringify(ack)), ack);
  const bad = ["", "{", "[]", "null", "7", "{}", '{"type":7}', '{"type":"unheard"}', '{"type":"toString"}'];
  for (const text of bad) assert.equal(codec.decodeFrame(text), null, text);
  assert.equal(codec.decodeFrame(new ArrayBuffer(4)), null);
  for (const field of ["id", "seq", "log_id", "at"]) assert.equal(codec.checkFrame({ ...ack, [field]: undefined }), null);
  assert.equal(codec.checkFrame({ ...ack, seq: "1" }), null);
  assert.equal(codec.checkFrame({ ...ack, seq: NaN }), null);
});

test("roster rows of the wrong form are dropped", () => {
  const good = { peer_id: "p", name: "n", verified: true, sessions: ["s"] };
  const rows = [good, null, {}, { ...good, sessions: [1] }, { ...good, verified: "yes" }];
  assert.deepEqual(codec.checkRoster(rows), [good]);
  assert.deepEqual(codec.checkRoster("no list"), []);
});

const ENVELOPE = {
  id: "m1", room: "r", sender: "guest:Ann", stream: "0".repeat(16), n: 1, kind: "text",
  hlc: "0123456789ab-0000", body: { text: "ü \"quoted\"\n", name: "Ann" },
};

test("an envelope survives writing and reading, and unknown kinds and fields are kept away from the page", () => {
  assert.deepEqual(codec.readEnvelope(codec.writeEnvelope(ENVELOPE)), ENVELOPE);
  const strange = { ...ENVELOPE, kind: "poll", body: { options: [1] }, later: 1 };
  assert.deepEqual(codec.readEnvelope(JSON.stringify(strange))?.body, {});
  for (const field of ["id", "room", "sender", "kind", "hlc"]) {
    assert.equal(codec.readEnvelope(JSON.stringify({ ...ENVELOPE, [field]: 7 })), null, field);
  }
  assert.equal(codec.readEnvelope(JSON.stringify({ ...ENVELOPE, hlc: "0123456789AB-0000" })), null);
  for (const text of ["", "{", "[]", "null"]) assert.equal(codec.readEnvelope(text), null);
});

test("what is signed is fixed to the byte", () => {
  assert.equal(codec.signedText("{}"), "egoat.1|{}");
  const join = { room: "r", origin: "http://o", nonce: "n", pk: "k", session: "s" };
  assert.equal(codec.joinText(join), "egoat.join.1\nr\nhttp://o\nn\nk\ns");
});

test("a send frame carries the key only beside a signature, and its size counts bytes", () => {
  assert.deepEqual(codec.sendFrame({ env: "{}" }), { type: "send", env: "{}" });
  assert.deepEqual(codec.sendFrame({ env: "{}", sig: "s", pk: "k" }), { type: "send", env: "{}", sig: "s", pk: "k" });
  assert.equal(codec.frameBytes({ env: "é" }), new TextEncoder().encode('{"type":"send","env":"é"}').length);
});

test("cursors are a log and a number", () => {
  const logId = "00ff00ff00ff00ff";
  assert.deepEqual(codec.readCursor(codec.writeCursor(logId, 12)), { logId, seq: 12 });
  for (const text of ["", "12", `${logId}.`, `${logId}.x`, `${logId.toUpperCase()}.1`, `${logId}.1.2`]) {
    assert.equal(codec.readCursor(text), null, text);
  }
  assert.equal(toHex(Uint8Array.of(0, 255)), "00ff");
});
