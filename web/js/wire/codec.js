// Frames and envelopes between JSON text and checked fields; whatever does not fit its form becomes null.

import { utf8Length } from "./bytes.js";
import { DOWN } from "./protocol.gen.js";

/**
 * A frame of a known type; the fields that DOWN names are there and have their kinds, which is why they may be read plainly.
 * @typedef {{type: string, [field: string]: any}} Frame
 * @typedef {{id: string, room: string, sender: string, stream: string, n: number, kind: string, hlc: string,
 *            body: {text?: string, name?: string}, keep?: boolean}} Envelope `keep: false` is for no log
 * @typedef {{env: string, sig?: string | undefined, pk?: string | undefined}} Sealed
 */

/** @type {Readonly<Record<import("./protocol.gen.js").Kind, (value: unknown) => boolean>>} */
const FITS = {
  text: (value) => typeof value === "string",
  number: (value) => typeof value === "number" && Number.isFinite(value),
  flag: (value) => typeof value === "boolean",
  list: (value) => Array.isArray(value),
  any: (value) => value !== undefined,
};

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
const isRecord = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** @param {string} text */
function parsed(text) {
  try {
    return /** @type {unknown} */ (JSON.parse(text));
  } catch {
    return null;
  }
}

/**
 * A frame from the node, or null when its type is unknown or a field it needs is missing.
 * @param {unknown} value
 * @returns {Frame | null}
 */
export function checkFrame(value) {
  if (!isRecord(value) || typeof value["type"] !== "string") return null;
  const type = value["type"];
  if (!Object.hasOwn(DOWN, type)) return null;
  const fields = Object.entries(DOWN[type] ?? {});
  return fields.every(([name, kind]) => FITS[kind](value[name])) ? { ...value, type } : null;
}

/**
 * @param {unknown} text what a socket delivered
 * @returns {Frame | null}
 */
export const decodeFrame = (text) => (typeof text === "string" ? checkFrame(parsed(text)) : null);

/** @param {object} frame */
export const encodeFrame = (frame) => JSON.stringify(frame);

/**
 * The rows of a roster that have the right form; the others are dropped.
 * @param {unknown} rows
 * @returns {import("../roster.js").RosterRow[]}
 */
export function checkRoster(rows) {
  if (!Array.isArray(rows)) return [];
  return rows.filter((row) =>
    isRecord(row) && FITS.text(row["peer_id"]) && FITS.text(row["name"]) && FITS.flag(row["verified"]) &&
    Array.isArray(row["sessions"]) && row["sessions"].every(FITS.text));
}

/** @param {unknown} value */
const isCount = (value) => Number.isSafeInteger(value) && Number(value) >= 0;

/**
 * The rows of a receipts frame that have the right form; the others are dropped.
 * @param {unknown} rows
 * @returns {import("../receipts.js").ReceiptRow[]}
 */
export function checkReceipts(rows) {
  if (!Array.isArray(rows)) return [];
  return rows.filter((row) =>
    isRecord(row) && FITS.text(row["peer_id"]) && FITS.text(row["session"]) && isCount(row["got"]) && isCount(row["read"]));
}

/**
 * The fields of an envelope, or null. Unknown kinds pass: they are shown as unsupported, not dropped.
 * @param {string} env
 * @returns {Envelope | null}
 */
export function readEnvelope(env) {
  const value = parsed(env);
  if (!isRecord(value)) return null;
  const texts = ["id", "room", "sender", "kind", "hlc"];
  if (!texts.every((name) => FITS.text(value[name]))) return null;
  if (!/^[0-9a-f]{12}-[0-9a-f]{4}$/.test(String(value["hlc"]))) return null;
  const body = isRecord(value["body"]) ? value["body"] : {};
  const fields = /** @type {Envelope} */ ({ ...value, body: {} });
  if (typeof body["text"] === "string") fields.body.text = body["text"];
  if (typeof body["name"] === "string") fields.body.name = body["name"];
  return fields;
}

/**
 * The text that is signed, sent and stored; nobody encodes it a second time.
 * @param {Envelope} fields
 */
export function writeEnvelope(fields) {
  const { id, room, sender, stream, n, kind, hlc, body, keep } = fields;
  return JSON.stringify({ id, room, sender, stream, n, kind, hlc, body, ...(keep === false && { keep }) });
}

/** @param {string} env what an envelope's signature covers */
export const signedText = (env) => `egoat.1|${env}`;

/**
 * What the signature of a join covers.
 * @param {{room: string, origin: string, nonce: string, pk: string, session: string}} join
 */
export const joinText = ({ room, origin, nonce, pk, session }) =>
  ["egoat.join.1", room, origin, nonce, pk, session].join("\n");

/**
 * @param {Sealed} sealed
 */
export function sendFrame({ env, sig, pk }) {
  return sig && pk ? { type: "send", env, sig, pk } : { type: "send", env };
}

/** @param {Sealed} sealed the size of its frame in bytes */
export const frameBytes = (sealed) => utf8Length(encodeFrame(sendFrame(sealed)));

/**
 * @param {string} text
 * @returns {{logId: string, seq: number} | null}
 */
export function readCursor(text) {
  const found = /^([0-9a-f]{16})\.(\d{1,16})$/.exec(text);
  return found ? { logId: found[1] ?? "", seq: Number(found[2]) } : null;
}

/**
 * @param {string} logId
 * @param {number} seq
 */
export const writeCursor = (logId, seq) => `${logId}.${seq}`;
