// The rungs webrtc-stun and webrtc-turn: a data channel to one session of a peer, found directly or through our relay.

import { WebrtcLink } from "./webrtc-link.js";

/** @type {Omit<import("./index.js").RungKind, "name" | "dial">} */
const SHARED = {
  echo: { active: 1_500, standby: 5_000 },
  window: { count: 256, bytes: 512 * 1024, alone: false },
};

/** @type {import("./index.js").RungKind} */
export const webrtcStun = {
  ...SHARED,
  name: "webrtc-stun",
  dial: (context, events) => new WebrtcLink("webrtc-stun", /** @type {any} */ (context), events),
};

/** @type {import("./index.js").RungKind} */
export const webrtcTurn = {
  ...SHARED,
  name: "webrtc-turn",
  dial: (context, events) => new WebrtcLink("webrtc-turn", /** @type {any} */ (context), events),
};
