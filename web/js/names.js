// Names of people and rooms: friendly suggestions, and the rule that says which names a node accepts.

import { LIMITS } from "./wire/protocol.gen.js";

const COLOURS = [
  "Amber", "Blue", "Copper", "Coral", "Crimson", "Golden", "Green", "Indigo", "Ivory", "Jade", "Misty", "Olive",
  "Pearl", "Quiet", "Ruby", "Russet", "Silver", "Snowy", "Sunny", "Swift", "Teal", "Velvet", "Violet", "Wild",
];
const ANIMALS = [
  "Badger", "Crane", "Dolphin", "Falcon", "Finch", "Fox", "Gecko", "Goat", "Hare", "Heron", "Ibex", "Kestrel", "Koala",
  "Lark", "Lynx", "Marten", "Otter", "Owl", "Panda", "Puffin", "Raven", "Robin", "Seal", "Swan", "Tapir", "Wren",
];
const RESERVED = new Set(["guest", "node", "system", "server", "owner", "admin", "egoat"]);
const LONGEST = LIMITS.NAME_CHARS;

/**
 * A friendly name such as "Amber Fox".
 * @param {Uint8Array} random two random bytes
 */
export function friendlyName(random) {
  const colour = COLOURS[(random[0] ?? 0) % COLOURS.length];
  const animal = ANIMALS[(random[1] ?? 0) % ANIMALS.length];
  return `${colour} ${animal}`;
}

/**
 * The nearest name the node accepts: NFC, letters and digits of any script, `_ - .` and single spaces, 64 at most.
 * Empty when nothing of the text is left.
 * @param {string} text
 */
export function cleanName(text) {
  const seen = text.replace(/\p{Default_Ignorable_Code_Point}/gu, " ");
  const kept = seen.normalize("NFC").replace(/[^\p{L}\p{M}\p{N}_\-. ]/gu, " ").replace(/ +/g, " ").trim();
  return Array.from(kept).slice(0, LONGEST).join("").trim();
}

/**
 * Why this name cannot be used, in words, or null when it can.
 * @param {string} name
 */
export function nameProblem(name) {
  const folded = name.normalize("NFKC").toLowerCase();
  if (cleanName(name) === "") return "Type a name with at least one letter or digit.";
  if (RESERVED.has(folded) || /^[a-z2-7]{26}$/.test(folded)) return "This name is reserved. Pick another one.";
  return null;
}

/**
 * The room a person means by what they typed: its name, or the name inside a pasted invite link.
 * @param {string} text
 */
export function roomFrom(text) {
  const typed = text.trim();
  const linked = /[?&]room=([^&#\s]+)/.exec(typed);
  if (!linked) return typed.normalize("NFC").replace(/\s+/g, "-");
  try {
    return decodeURIComponent((linked[1] ?? "").replace(/\+/g, " ")).normalize("NFC");
  } catch {
    return "";
  }
}

/**
 * Why a node refuses this room name, in words, or null when it takes it.
 * @param {string} room
 */
export function roomProblem(room) {
  if (room === "") return "Type the name of a room.";
  if (Array.from(room).length > LONGEST) return `A room name has at most ${LONGEST} characters.`;
  if (room === "." || room === "..") return "A room name needs a letter or a digit.";
  if (!/^[\p{L}\p{M}\p{N}_\-.]+$/u.test(room)) return "A room name has letters, digits and _ - . only.";
  if (/^[a-z2-7]{32}$/.test(room)) return "Names of this form are reserved for encrypted rooms.";
  return null;
}

/**
 * One or two letters that stand for a person.
 * @param {string} name
 */
export function initials(name) {
  const words = name.split(/[ _\-.]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : [words[0] ?? "?"];
  return letters.map((word) => Array.from(word ?? "")[0] ?? "").join("").toUpperCase();
}

/**
 * A number below `count` that is always the same for the same peer, for its colour.
 * @param {string} peerId
 * @param {number} count
 */
export function hueOf(peerId, count) {
  let sum = 0;
  for (const letter of peerId) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) >>> 0;
  return sum % count;
}
