// One request to the node over HTTP: JSON in, JSON out, a deadline always, and faults in the node's own words.

/**
 * @typedef {object} World the outside, handed in so that tests can bring their own
 * @property {typeof fetch} fetch
 * @property {typeof WebSocket} WebSocket
 * @property {typeof globalThis.RTCPeerConnection | undefined} RTCPeerConnection absent where a browser or its owner forbids it
 * @property {(run: () => void, ms: number) => number} setTimeout
 * @property {(timer: number | undefined) => void} clearTimeout
 * @property {() => number} now monotonic milliseconds
 * @property {() => number} wall Unix milliseconds of this device
 * @property {(count: number) => Uint8Array<ArrayBuffer>} random
 */

/** @typedef {{code: string, detail: string, retry: number | null}} Fault */

/** What the node, or something on the way to it, answered instead of what was asked for. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {Fault} fault
   */
  constructor(status, fault) {
    super(fault.detail);
    this.status = status;
    this.fault = fault;
  }
}

/**
 * The answer's JSON object. Throws Refused for an answer that is none, and whatever fetch throws without one.
 * @param {World} world
 * @param {string} path
 * @param {{body?: object, token?: string | null, deadline?: number, signal?: AbortSignal}} [options]
 * @returns {Promise<Record<string, any>>}
 */
export async function request(world, path, { body, token, deadline = 8000, signal } = {}) {
  const stop = new AbortController();
  const timer = world.setTimeout(() => stop.abort(new DOMException("no answer in time", "TimeoutError")), deadline);
  const abort = () => stop.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort);
  try {
    const response = await world.fetch(path, { ...options(body, token), signal: stop.signal });
    return await answer(response);
  } finally {
    world.clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * @param {object | undefined} body
 * @param {string | null | undefined} token
 * @returns {RequestInit}
 */
function options(body, token) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (token) headers["Authorization"] = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  return {
    method: body ? "POST" : "GET",
    headers,
    cache: "no-store",
    credentials: "omit",
    ...(body ? { body: JSON.stringify(body) } : {}),
  };
}

/** @param {Response} response */
async function answer(response) {
  const text = await response.text();
  const value = parsed(text);
  if (response.ok && value) return value;
  throw new Refused(response.status, {
    code: typeof value?.["code"] === "string" ? value["code"] : "internal",
    detail: typeof value?.["detail"] === "string" ? value["detail"] : `the answer was not the node's (${response.status})`,
    retry: retryOf(value?.["retry"], response),
  });
}

/**
 * @param {unknown} said
 * @param {Response} response
 */
function retryOf(said, response) {
  if (typeof said === "number" && Number.isFinite(said)) return said;
  const seconds = Number(response.headers.get("Retry-After"));
  if (Number.isFinite(seconds) && seconds > 0) return seconds;
  return response.status >= 500 || response.status === 429 ? 2 : null;
}

/**
 * @param {string} text
 * @returns {Record<string, any> | null}
 */
function parsed(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/**
 * Why a request came to nothing, for a person.
 * @param {unknown} error
 */
export function whyNot(error) {
  if (error instanceof Refused) return error.fault.detail;
  if (error instanceof DOMException && error.name === "TimeoutError") return "no answer in time";
  return "no connection";
}
