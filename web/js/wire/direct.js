// Frames that browsers send each other on a data channel: echoes, envelopes, and word of what came (`quiet`: its
// person does not want that shown). Pure.

/** @typedef {import("./codec.js").Frame} Frame */

const MOST_IDS = 256;

/** @type {Readonly<Record<string, (frame: Record<string, unknown>) => boolean>>} */
const FORMS = {
  ping: ({ t }) => Number.isFinite(t),
  pong: ({ t }) => Number.isFinite(t),
  message: ({ env, sig, pk }) => typeof env === "string" && [sig, pk].every(isTextOrNone),
  got: ({ ids, quiet }) => Array.isArray(ids) && ids.length <= MOST_IDS && ids.every((id) => typeof id === "string") &&
    (quiet === undefined || typeof quiet === "boolean"),
};

/** @param {unknown} value */
const isTextOrNone = (value) => value === undefined || typeof value === "string";

/**
 * The frame, or null when its type is unknown or a field it needs is missing.
 * @param {unknown} text
 * @returns {Frame | null}
 */
export function checkDirect(text) {
  if (typeof text !== "string") return null;
  try {
    const value = JSON.parse(text);
    const fits = Object.hasOwn(FORMS, String(value?.type)) && FORMS[value.type]?.(value);
    return fits ? value : null;
  } catch {
    return null;
  }
}
