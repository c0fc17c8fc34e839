/**
 * Which rungs there are, which of them a strategy allows, and the figures of the ladder's nine rules.
 * Twin of services/transport/ladder/policy.py, held to it by tests/vectors/ladder/policy.json.
 *
 * @module
 */

/** @typedef {{name: string, priority: number}} Place One rung of a ladder; the higher priority is the better rung. */

/**
 * The figures of one ladder. Times are milliseconds.
 *
 * @typedef {object} Config
 * @property {readonly Place[]} rungs every rung this ladder may ever use, in any order
 * @property {boolean} keep rule 4: true for a ladder whose links are shared and stay, so that no spare link is hung up
 * @property {number} stagger rule 1: between the dials of a climb; rule 4: before a standby is warmed
 * @property {number} retry rule 3: how long a better link that was put down rests, and the longest time between two wake-ups
 * @property {number} standbys rule 4: links kept warm beside the one in use
 * @property {number} deadline rule 5: how long a dial may take
 * @property {number} rest rule 5: the first, shortest rest
 * @property {number} longest rule 5: the longest rest
 * @property {number} patience rule 6: bad samples that taint a link
 * @property {number} crowd the driver's: the longest time that it keeps back the end of a link which ended for many at once
 */

/** @type {readonly Place[]} */
export const RUNGS = Object.freeze([
  Object.freeze({ name: "webrtc-stun", priority: 100 }),
  Object.freeze({ name: "webrtc-turn", priority: 80 }),
  Object.freeze({ name: "websocket-direct", priority: 60 }),
  Object.freeze({ name: "http-polling", priority: 40 }),
  Object.freeze({ name: "lan-broadcast", priority: 20 }),
]);

/**
 * What each strategy allows; null allows every rung, also one from outside.
 *
 * @type {Readonly<Record<string, readonly string[] | null>>}
 */
export const STRATEGIES = Object.freeze({
  auto: null,
  "p2p-only": ["webrtc-stun", "webrtc-turn"],
  "webrtc-stun": ["webrtc-stun"],
  "relay-safe": ["webrtc-turn", "websocket-direct", "http-polling"],
  "websocket-only": ["websocket-direct"],
  "http-only": ["http-polling"],
  "lan-only": ["lan-broadcast"],
});

/** @type {Readonly<Omit<Config, "rungs">>} */
export const DEFAULTS = Object.freeze({
  keep: false,
  stagger: 500,
  retry: 60_000,
  standbys: 1,
  deadline: 30_000,
  rest: 2_000,
  longest: 60_000,
  patience: 3,
  crowd: 1_000,
});

/**
 * The ladder from this page to its node: one shared socket, polling behind it.
 *
 * @type {Readonly<Config>}
 */
export const NODE_LADDER = Object.freeze({
  ...DEFAULTS,
  keep: true,
  rungs: RUNGS.filter(({ name }) => name === "websocket-direct" || name === "http-polling"),
});

/**
 * The ladder from this page to one session of somebody else; the ladder to the node is the floor below it, and its
 * socket the warm standby of them all: a relayed link kept beside every direct one costs more than it brings
 * (docs/decisions/011-mesh-ceiling.md).
 *
 * @type {Readonly<Config>}
 */
export const PEER_LADDER = Object.freeze({
  ...DEFAULTS,
  standbys: 0,
  rungs: RUNGS.filter(({ name }) => name === "webrtc-stun" || name === "webrtc-turn"),
});

/**
 * The names among `rungs` that may carry messages under `strategy`, in the order given.
 * Throws RangeError for a strategy that does not exist.
 *
 * @param {string} strategy
 * @param {readonly Place[]} rungs
 * @returns {string[]}
 */
export function allowed(strategy, rungs) {
  const listed = STRATEGIES[strategy];
  if (listed === undefined) throw new RangeError(`no strategy is called ${strategy}`);
  return rungs.map(({ name }) => name).filter((name) => listed === null || listed.includes(name));
}

/**
 * The same for the ladder to the node: a strategy that speaks of none of its rungs (P2P, LAN) leaves
 * all of them, because signals, presence and history still go that way. Whether *messages* may is
 * not decided here.
 *
 * @param {string} strategy
 * @param {readonly Place[]} rungs
 * @returns {string[]}
 */
export function allowedToNode(strategy, rungs) {
  const listed = allowed(strategy, rungs);
  return listed.length > 0 ? listed : rungs.map(({ name }) => name);
}

/**
 * What a page does under a strategy, or with one rung forced: the rungs that may reach other pages, those that may
 * reach the node, whether messages go into the node's log at all, and whether they go there only after the direct
 * copy had its turn: where nothing but a direct rung may carry them, the log's copy is for the record.
 *
 * @typedef {{peers: string[], node: string[], keeps: boolean, after: boolean}} Plan
 */

/**
 * @param {string} strategy
 * @param {string | null} [forced] one rung, which then carries the messages alone
 * @returns {Plan}
 */
export function plan(strategy, forced = null) {
  const toPeers = allowed(strategy, PEER_LADDER.rungs);
  const toNode = allowed(strategy, NODE_LADDER.rungs);
  if (forced !== null) return forcedPlan(forced);
  const node = allowedToNode(strategy, NODE_LADDER.rungs);
  return { peers: toPeers, node, keeps: strategy !== "p2p-only", after: toPeers.length > 0 && toNode.length === 0 };
}

/**
 * @param {string} rung
 * @returns {Plan}
 */
function forcedPlan(rung) {
  const only = (/** @type {Readonly<Config>} */ ladder) => namesOf(ladder).filter((name) => name === rung);
  const node = only(NODE_LADDER);
  const peers = only(PEER_LADDER);
  return { peers, node: node.length > 0 ? node : namesOf(NODE_LADDER), keeps: true, after: peers.length > 0 };
}

/** @type {(ladder: Readonly<Config>) => string[]} */
const namesOf = ({ rungs }) => rungs.map(({ name }) => name);
