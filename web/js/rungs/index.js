// The rungs a page can use towards its node and towards other pages, and what every rung is given and gives back.

import { httpPolling } from "./http-polling.js";
import { webrtcStun, webrtcTurn } from "./webrtc.js";
import { websocketDirect } from "./websocket-direct.js";

/**
 * @typedef {object} Context what a rung needs to reach this room as this peer
 * @property {import("../api.js").World} world
 * @property {string} room
 * @property {boolean} signs whether joins are signed, or this is a guest
 * @property {() => string[]} socketUrls
 * @property {() => string | null} cursor everything after it is wanted
 * @property {() => string | null} token
 * @property {() => object[]} word frames that a rung without a socket repeats with every poll
 * @property {(token: string | null) => void} keepToken
 * @property {(nonce: string) => Promise<object>} proof the fields of a join that answer this nonce
 */

/**
 * @typedef {object} Ending
 * @property {string} what
 * @property {string} evidence a phrase for a person
 * @property {boolean} final the node does not want this page back as it is
 * @property {string} code the node's word for the refusal, or the socket's close code
 */

/**
 * @typedef {object} LinkEvents `opened` at most once; `ended` once, and never after `close`
 * @property {(welcome: import("../wire/codec.js").Frame | null) => void} opened
 * @property {(frame: import("../wire/codec.js").Frame) => void} frame
 * @property {(rows: import("../roster.js").RosterRow[]) => void} roster
 * @property {() => void} heard something came in that is no frame
 * @property {(ending: Ending) => void} ended
 */

/**
 * @typedef {object} Link a dial, and the open link it becomes
 * @property {(frame: object) => void} send
 * @property {(active: boolean) => void} activate
 * @property {() => void} refresh look for another way to the same place, where the rung has any
 * @property {() => void} close
 */

/**
 * @typedef {object} RungKind
 * @property {string} name
 * @property {{active: number, standby: number}} echo milliseconds of quiet before an echo is asked for
 * @property {import("../outbox.js").Window} window
 * @property {(context: Context, events: LinkEvents) => Link} dial
 */

/** @type {ReadonlyMap<string, RungKind>} */
export const RUNG_KINDS = new Map(
  [webrtcStun, webrtcTurn, websocketDirect, httpPolling].map((rung) => [rung.name, rung]),
);
