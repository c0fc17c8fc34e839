// The arithmetic fallback against RFC 8032's vectors and against the native implementation.
import assert from "node:assert/strict";
import { test } from "node:test";

import { publicKey, sign, verify } from "../../web/js/ed25519.js";

const { subtle } = globalThis.crypto;
const hash = async (/** @type {Uint8Array<ArrayBuffer>} */ bytes) => new Uint8Array(await subtle.digest("SHA-512", bytes));
const hex = (/** @type {string} */ text) => Uint8Array.from(Buffer.from(text, "hex"));

const VECTORS = [
  ["9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"],
  ["4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"],
  ["c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"],
];

for (const [seed, key, message, signature] of VECTORS) {
  test(`RFC 8032, section 7.1, message "${message}"`, async () => {
    assert.deepEqual(await publicKey(hash, hex(seed)), hex(key));
    assert.deepEqual(await sign(hash, hex(seed), hex(message)), hex(signature));
    assert.equal(await verify(hash, hex(key), hex(signature), hex(message)), true);
  });
}

test("the native implementation takes our signatures and we take its", async () => {
  const pair = /** @type {CryptoKeyPair} */ (await subtle.generateKey({ name: "Ed25519" }, true, ["sign", "verify"]));
  const seed = Uint8Array.from(Buffer.from(String((await subtle.exportKey("jwk", pair.privateKey)).d), "base64url"));
  const key = new Uint8Array(await subtle.exportKey("raw", pair.publicKey));
  const message = new TextEncoder().encode("egoat.1|{}");
  assert.deepEqual(await publicKey(hash, seed), key);
  const theirs = new Uint8Array(await subtle.sign({ name: "Ed25519" }, pair.privateKey, message));
  assert.deepEqual(await sign(hash, seed, message), theirs);
  assert.equal(await verify(hash, key, theirs, message), true);
});

test("whatever is changed, the signature no longer holds", async () => {
  const [, key, message, signature] = VECTORS[2].map(hex);
  const flip = (/** @type {Uint8Array} */ bytes, /** @type {number} */ at) =>
    bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));
  assert.equal(await verify(hash, key, signature, flip(message, 0)), false);
  assert.equal(await verify(hash, flip(key, 3), signature, message), false);
  for (const at of [0, 31, 32, 63]) assert.equal(await verify(hash, key, flip(signature, at), message), false);
  assert.equal(await verify(hash, key, signature.slice(0, 63), message), false);
  assert.equal(await verify(hash, key.slice(1), signature, message), false);
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const high = BigInt(`0x${Buffer.from(signature.slice(32)).reverse().toString("hex")}`) + order;
  const malleable = Buffer.from(high.toString(16).padStart(64, "0"), "hex").reverse();
  assert.equal(await verify(hash, key, Uint8Array.from([...signature.slice(0, 32), ...malleable]), message), false);
});
