// The payload of a WebRTC signal between two pages, checked; whatever does not fit its form becomes null. Pure.

/** @typedef {import("../rungs/negotiation.js").Call} Call */

const MOST_CANDIDATES = 64;
const MOST_WORDS = 300;
const ATTEMPT = /^[0-9a-f]{16}-\d{1,9}$/;

/** @type {(value: unknown) => boolean} */
const isTextOrNone = (value) => value === undefined || typeof value === "string";

/**
 * @param {unknown} payload
 * @returns {Call | null}
 */
export function checkCall(payload) {
  if (typeof payload !== "object" || payload === null) return null;
  const { rung, attempt, sdp, sig, pk, candidates, refused, report } = /** @type {Record<string, any>} */ (payload);
  if (rung !== "webrtc-stun" && rung !== "webrtc-turn") return null;
  if (typeof attempt !== "string" || !ATTEMPT.test(attempt)) return null;
  if (![sdp, sig, pk].every(isTextOrNone)) return null;
  return {
    rung, attempt,
    ...(sdp !== undefined && { sdp }), ...(sig !== undefined && { sig }), ...(pk !== undefined && { pk }),
    ...(Array.isArray(candidates) && { candidates: candidates.slice(0, MOST_CANDIDATES).filter(isCandidate) }),
    ...(typeof refused === "string" && { refused: refused.slice(0, MOST_WORDS) }),
    ...(typeof report === "object" && report !== null && { report }),
  };
}

/**
 * Who made an attempt, and the how manieth of that page it is.
 * @param {string} attempt
 */
export function attemptOf(attempt) {
  const [session = "", number = "0"] = attempt.split("-");
  return { session, number: Number(number) };
}

/** @param {any} value */
const isCandidate = (value) =>
  typeof value?.candidate === "string" && value.candidate.length <= 512 && isTextOrNone(value.sdpMid ?? undefined);
