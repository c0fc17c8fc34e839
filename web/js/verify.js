// Whether a received message was really signed by its sender, checked here and not believed from the node.

import { verify as verifyInArithmetic } from "./ed25519.js";
import { fromBase64url, utf8 } from "./wire/bytes.js";
import { signedText } from "./wire/codec.js";
import { isGuest, peerIdOf } from "./wire/ids.js";

/**
 * good: the sender's key signed it · bad: it did not · guest: there is no key · unknown: this browser cannot check.
 * @typedef {"good" | "bad" | "guest" | "unknown"} Proof
 */

/** @typedef {{peerId: string, holds: (signature: Uint8Array<ArrayBuffer>, message: Uint8Array<ArrayBuffer>) => Promise<boolean>}} KnownKey */

/**
 * @param {SubtleCrypto} subtle
 * @returns {import("./ed25519.js").Hash}
 */
export const sha512 = (subtle) => async (bytes) => new Uint8Array(await subtle.digest("SHA-512", bytes));

/**
 * Whether `sender` signed a text; `pk` is the key that was sent along.
 * @typedef {(sender: string, signed: {text: string, sig?: string | undefined, pk?: string | undefined}) => Promise<Proof>} Verify
 */

/**
 * @param {SubtleCrypto | undefined} subtle
 * @returns {Verify}
 */
export function verifier(subtle) {
  /** @type {Map<string, Promise<KnownKey | null>>} */
  const keys = new Map();
  return async (sender, { text, sig, pk }) => {
    if (isGuest(sender)) return "guest";
    if (!subtle) return "unknown";
    const signature = fromBase64url(sig ?? "");
    if (!pk || signature?.length !== 64) return "bad";
    const known = keys.get(pk) ?? importKey(subtle, pk).catch(() => null);
    keys.set(pk, known);
    const found = await known;
    if (found?.peerId !== sender) return "bad";
    return (await found.holds(signature, utf8(text))) ? "good" : "bad";
  };
}

/**
 * The same for an envelope.
 * @param {Verify} verify
 * @param {string} sender
 * @param {import("./wire/codec.js").Sealed} sealed
 */
export const verifySealed = (verify, sender, { env, sig, pk }) => verify(sender, { text: signedText(env), sig, pk });

/**
 * Null for a browser without Ed25519; a key that is none fails as before.
 * @param {unknown} error
 */
function ifUnsupported(error) {
  if (error instanceof DOMException && error.name === "NotSupportedError") return null;
  throw error;
}

/**
 * @param {SubtleCrypto} subtle
 * @param {string} pk
 * @returns {Promise<KnownKey | null>}
 */
async function importKey(subtle, pk) {
  const raw = fromBase64url(pk);
  if (raw?.length !== 32) return null;
  const hash = new Uint8Array(await subtle.digest("SHA-256", raw));
  const peerId = peerIdOf(hash);
  const native = await subtle.importKey("raw", raw, { name: "Ed25519" }, false, ["verify"]).catch(ifUnsupported);
  return {
    peerId,
    holds: native
      ? (signature, message) => subtle.verify({ name: "Ed25519" }, native, signature, message)
      : (signature, message) => verifyInArithmetic(sha512(subtle), raw, signature, message),
  };
}
