// Who this page is: a key kept in this profile, a key that lives as long as the tab, or a guest without one.

import { publicKey, sign as signInArithmetic } from "./ed25519.js";
import { soon } from "./idb.js";
import { keepKey, readKey } from "./key-store.js";
import { sha512 } from "./verify.js";
import { toBase64url, utf8 } from "./wire/bytes.js";
import { peerIdOf } from "./wire/ids.js";

/**
 * @typedef {object} Identity
 * @property {"profile" | "tab" | "guest"} lives where the key is kept; a guest has none
 * @property {string | null} peerId null for a guest, whose id is its label
 * @property {string | null} pk base64url of the raw public key
 * @property {(text: string) => Promise<string>} sign base64url signature over the UTF-8 bytes of the text
 */

/** @type {Identity} */
const GUEST = {
  lives: "guest",
  peerId: null,
  pk: null,
  sign: () => Promise.reject(new Error("a guest signs nothing")),
};

/**
 * Finds out by doing it: makes or finds the key pair, stores it, reads it back and signs with what came back.
 * @param {{crypto: Crypto, indexedDB: IDBFactory | undefined}} browser
 * @returns {Promise<Identity>}
 */
export async function openIdentity({ crypto, indexedDB }) {
  const { subtle } = crypto;
  if (!subtle) return GUEST;
  const kept = await soon(profileKey(subtle, indexedDB)).catch(() => null);
  if (kept) return kept;
  return tabKey(subtle).catch(() => plainKey(crypto)).catch(() => GUEST);
}

/** @param {SubtleCrypto} subtle */
const newPair = async (subtle) =>
  /** @type {CryptoKeyPair} */ (await subtle.generateKey({ name: "Ed25519" }, false, ["sign", "verify"]));

/**
 * @param {SubtleCrypto} subtle
 * @param {IDBFactory | undefined} factory
 */
async function profileKey(subtle, factory) {
  if (!factory) throw new Error("this browser has no store");
  const pair = (await readKey(factory)) ?? (await keepKey(factory, await newPair(subtle)));
  if (!pair) throw new Error("the store gave nothing back");
  return identityOf(subtle, pair, "profile");
}

/** @param {SubtleCrypto} subtle */
const tabKey = async (subtle) => identityOf(subtle, await newPair(subtle), "tab");

/**
 * @param {SubtleCrypto} subtle
 * @param {CryptoKeyPair} pair
 * @param {"profile" | "tab"} lives
 */
async function identityOf(subtle, pair, lives) {
  const raw = new Uint8Array(await subtle.exportKey("raw", pair.publicKey));
  const sign = async (/** @type {string} */ text) =>
    toBase64url(new Uint8Array(await subtle.sign({ name: "Ed25519" }, pair.privateKey, utf8(text))));
  return named(subtle, raw, sign, lives);
}

/**
 * A key in memory for a browser whose WebCrypto has no Ed25519.
 * @param {Crypto} crypto
 */
async function plainKey(crypto) {
  const { subtle } = crypto;
  const hash = sha512(subtle);
  const seed = crypto.getRandomValues(new Uint8Array(32));
  const sign = async (/** @type {string} */ text) => toBase64url(await signInArithmetic(hash, seed, utf8(text)));
  return named(subtle, await publicKey(hash, seed), sign, "tab");
}

/**
 * @param {SubtleCrypto} subtle
 * @param {Uint8Array<ArrayBuffer>} raw the public key
 * @param {Identity["sign"]} sign
 * @param {"profile" | "tab"} lives
 * @returns {Promise<Identity>}
 */
async function named(subtle, raw, sign, lives) {
  const hash = new Uint8Array(await subtle.digest("SHA-256", raw));
  await sign("egoat");
  return { lives, peerId: peerIdOf(hash), pk: toBase64url(raw), sign };
}
