// Where an own message is and who has it, in words. Pure.

/** @typedef {import("../receipts.js").Count & {kept: boolean}} Receipt `kept`: it is for the node's log */

/** @type {Receipt} */
export const NOBODY = { got: 0, read: 0, of: 0, kept: true };

/** @type {Readonly<Record<string, string>>} */
const STATES = {
  queued: "queued on this device",
  node: "at the node",
  failed: "not sent",
  kept: "kept here, not in the node’s history",
};

/**
 * @param {string} state of the line
 * @param {Receipt} receipt
 */
export function standing(state, { got, read, of, kept }) {
  if (state === "direct" || (state === "queued" && got > 0)) {
    const handed = got > 0 ? `delivered directly${some(" to ", got, of)}` : "sent directly";
    return `${handed}, ${kept ? "not at the node yet" : "not kept at the node"}`;
  }
  if (state === "node" && read > 0) return `read${some(" by ", read, of)}`;
  if (state === "node" && got > 0) return `delivered${some(" to ", got, of)}`;
  return STATES[state] ?? "";
}

/**
 * Everything that is known, for who looks closer.
 * @param {string} state
 * @param {Receipt} receipt
 */
export function wholeStanding(state, receipt) {
  const { got, read, of } = receipt;
  if (state !== "node" || got + read === 0) return standing(state, receipt);
  const seen = read > 0 ? `, read by ${read}` : "";
  return `${STATES["node"]}, delivered to ${Math.max(got, read)} of ${of}${seen}`;
}

/**
 * @param {string} word
 * @param {number} count
 * @param {number} of one other is not counted
 */
const some = (word, count, of) => (of > 1 ? `${word}${count} of ${of}` : "");
