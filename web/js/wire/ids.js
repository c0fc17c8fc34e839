// Identifiers the page makes, as pure functions of the time and the random bytes they are given.

import { toBase32, toHex } from "./bytes.js";

/**
 * UUID version 7 (RFC 9562, section 5.7): 48 bits of time, then 74 random bits, so that ids sort by age.
 * @param {number} ms Unix milliseconds
 * @param {Uint8Array} random ten random bytes
 */
export function uuid7(ms, random) {
  const hex = toHex(random);
  const time = Math.max(0, Math.floor(ms)).toString(16).padStart(12, "0").slice(-12);
  const variant = (0x8 | ((random[1] ?? 0) & 0x3)).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hex.slice(0, 3)}-${variant}${hex.slice(4, 7)}-${hex.slice(7, 19)}`;
}

/**
 * A room name nobody guesses: 128 random bits, 26 characters, clear of the form reserved for encrypted rooms.
 * @param {Uint8Array} random sixteen random bytes
 */
export const roomName = (random) => toBase32(random);

/**
 * @param {Uint8Array} hash SHA-256 of the raw public key
 */
export const peerIdOf = (hash) => toBase32(hash).slice(0, 26);

/** @param {string} label */
export const guestId = (label) => `guest:${label}`;

/** @param {string} guest the id of a guest */
export const labelOf = (guest) => guest.slice("guest:".length);

/** @param {string} peerId */
export const isGuest = (peerId) => peerId.startsWith("guest:");
