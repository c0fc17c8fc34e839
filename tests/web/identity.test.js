// Who this page is is found out by doing it; whatever a browser lacks, the page still has somebody to be.
import assert from "node:assert/strict";
import { test } from "node:test";

import { openIdentity } from "../../web/js/identity.js";
import { joinFields } from "../../web/js/join.js";
import { verifier } from "../../web/js/verify.js";

const { crypto } = globalThis;
const { subtle } = crypto;

/** A store that keeps one row, or does what the test says. @param {{fails?: boolean, forgets?: boolean, mute?: boolean}} [how] */
function fakeStore({ fails = false, forgets = false, mute = false } = {}) {
  /** @type {any} */
  let row;
  const later = (/** @type {any} */ request, /** @type {string} */ event) => queueMicrotask(() => request[event]?.());
  const database = {
    createObjectStore() {},
    close() {},
    transaction() {
      /** @type {any} */
      const transaction = { objectStore: () => ({ get, add }), error: new Error("refused") };
      const get = () => ({ result: row });
      const add = (/** @type {any} */ value) => {
        if (row === undefined && !forgets) row = value;
        return { result: "key" };
      };
      setImmediate(() => transaction.oncomplete?.());
      return transaction;
    },
  };
  return {
    open() {
      /** @type {any} */
      const request = { result: database, error: new Error("refused") };
      if (!mute) later(request, fails ? "onerror" : "onsuccess");
      return request;
    },
  };
}
const store = (/** @type {any} */ how) => /** @type {any} */ (fakeStore(how));

/** WebCrypto without Ed25519. */
const withoutEd25519 = /** @type {any} */ ({
  getRandomValues: (/** @type {Uint8Array<ArrayBuffer>} */ bytes) => crypto.getRandomValues(bytes),
  subtle: {
    digest: (/** @type {[any, any]} */ ...asked) => subtle.digest(...asked),
    generateKey: async () => {
      throw new DOMException("Ed25519", "NotSupportedError");
    },
    importKey: async () => {
      throw new DOMException("Ed25519", "NotSupportedError");
    },
  },
});

/** @param {import("../../web/js/identity.js").Identity} identity */
async function holds(identity, browser = crypto) {
  const sig = await identity.sign("egoat.1|{}");
  return verifier(browser.subtle)(String(identity.peerId), { text: "egoat.1|{}", sig, pk: String(identity.pk) });
}

test("a profile keeps its key: the next page of it is the same peer", async () => {
  const factory = store();
  const first = await openIdentity({ crypto, indexedDB: factory });
  const second = await openIdentity({ crypto, indexedDB: factory });
  assert.equal(first.lives, "profile");
  assert.equal(second.peerId, first.peerId);
  assert.match(String(first.peerId), /^[a-z2-7]{26}$/);
  assert.equal(await holds(second), "good");
});

test("refused, forgetful, mute and missing stores leave a key that lives as long as the tab", async () => {
  for (const factory of [store({ fails: true }), store({ forgets: true }), store({ mute: true }), undefined]) {
    const identity = await openIdentity({ crypto, indexedDB: factory });
    assert.equal(identity.lives, "tab");
    assert.equal(await holds(identity), "good");
  }
});

test("a browser without Ed25519 has a key in memory that everybody else can check, and checks theirs", async () => {
  const identity = await openIdentity({ crypto: withoutEd25519, indexedDB: store() });
  assert.equal(identity.lives, "tab");
  assert.equal(await holds(identity), "good");
  const native = await openIdentity({ crypto, indexedDB: undefined });
  assert.equal(await holds(native, withoutEd25519), "good");
  const sig = await native.sign("something else");
  assert.equal(await verifier(withoutEd25519.subtle)(String(native.peerId), { text: "egoat.1|{}", sig, pk: String(native.pk) }), "bad");
});

test("without WebCrypto the page is a guest and says nothing it cannot prove", async () => {
  const identity = await openIdentity({ crypto: /** @type {any} */ ({}), indexedDB: store() });
  assert.deepEqual([identity.lives, identity.peerId, identity.pk], ["guest", null, null]);
  const asked = { identity, room: "r", session: "s", name: "Ann", origin: "http://o", token: null };
  assert.deepEqual(await joinFields(asked, ""), { session: "s", name: "Ann" });
  assert.deepEqual(await joinFields({ ...asked, token: "T" }, ""), { session: "s", name: "Ann", token: "T" });
});

test("a join is signed over room, origin, nonce, key and session", async () => {
  const identity = await openIdentity({ crypto, indexedDB: undefined });
  const fields = /** @type {any} */ (await joinFields({ identity, room: "r", session: "s", name: "Ann", origin: "http://o", token: "T" }, "N"));
  const raw = Buffer.from(fields.pk, "base64url");
  const key = await subtle.importKey("raw", raw, { name: "Ed25519" }, false, ["verify"]);
  const text = ["egoat.join.1", "r", "http://o", "N", fields.pk, "s"].join("\n");
  assert.ok(await subtle.verify({ name: "Ed25519" }, key, Buffer.from(fields.sig, "base64url"), Buffer.from(text)));
});

test("keys and signatures of the wrong form are bad, guests are guests, and a page without WebCrypto cannot tell", async () => {
  const identity = await openIdentity({ crypto, indexedDB: undefined });
  const sig = await identity.sign("egoat.1|{}");
  const check = verifier(subtle);
  const sender = String(identity.peerId);
  for (const sealed of [{ text: "egoat.1|{}" }, { text: "egoat.1|{}", sig }, { text: "egoat.1|{}", sig: "x", pk: String(identity.pk) }, { text: "egoat.1|{}", sig, pk: "AAAA" }]) {
    assert.equal(await check(sender, sealed), "bad");
  }
  assert.equal(await check("guest:Ann", { text: "egoat.1|{}" }), "guest");
  assert.equal(await verifier(undefined)(sender, { text: "egoat.1|{}", sig, pk: String(identity.pk) }), "unknown");
});
