// Composition root: reads the address, opens the start page or a room, and is the only file that knows everything.

import { request } from "./api.js";
import { openIdentity } from "./identity.js";
import { cleanName, friendlyName, nameProblem, roomProblem } from "./names.js";
import { openOutbox } from "./outbox-store.js";
import { STRATEGIES } from "./ladder/policy.js";
import { crowd } from "./peer-words.js";
import * as profile from "./profile.js";
import { Room } from "./room.js";
import { RUNG_KINDS } from "./rungs/index.js";
import { Streams } from "./streams.js";
import { asRung, asStrategy, detailsOf, peopleViews } from "./views.js";
import { homeScreen } from "./ui/home.js";
import { receiptSwitch } from "./ui/receipt-switch.js";
import { roomScreen } from "./ui/room-screen.js";
import { showTheme, themePicker } from "./ui/theme.js";
import { unreadTitle } from "./ui/title.js";
import { Unsent } from "./unsent.js";
import { banner } from "./words.js";
import { verifier } from "./verify.js";
import { toHex } from "./wire/bytes.js";
import { roomName } from "./wire/ids.js";
import { LIMITS } from "./wire/protocol.gen.js";

/** @type {import("./api.js").World} */
const world = {
  fetch: (...asked) => fetch(...asked),
  WebSocket,
  RTCPeerConnection: window.RTCPeerConnection,
  setTimeout: (run, ms) => window.setTimeout(run, ms),
  clearTimeout: (timer) => window.clearTimeout(timer),
  now: () => performance.now(),
  wall: () => Date.now(),
  random: (count) => crypto.getRandomValues(new Uint8Array(count)),
};

const CONFIG_AGAIN_MS = 5_000;
const TICK_MS = 1_000;
const LOCAL = new Set(["localhost", "127.0.0.1", "[::1]"]);

const session = toHex(world.random(8));
const identity = openIdentity({ crypto, indexedDB: storeOf() });
const outbox = openOutbox(storeOf());
const unsent = new Unsent(outbox, navigator.locks);
const verify = verifier(crypto.subtle);
const place = /** @type {HTMLElement} */ (document.getElementById("app"));

/** What is open now: its way to be closed, to be told that the page woke or was hidden, and whether it would lose something. */
const NOTHING_OPEN = { stop: () => {}, wake: () => {}, rest: () => {}, fragile: () => false };
let current = NOTHING_OPEN;

/** Some browsers throw where they refuse storage. */
function storeOf() {
  try {
    return window.indexedDB ?? undefined;
  } catch {
    return undefined;
  }
}

const theme = () => themePicker(profile.readTheme(), profile.keepTheme);
const suggestion = () => friendlyName(world.random(2));

/** Opens what the address says. */
function route() {
  const asked = new URLSearchParams(location.search);
  const room = (asked.get("room") ?? "").normalize("NFC");
  const problem = room ? roomProblem(room) : null;
  current.stop();
  if (!room || problem) return home(problem);
  void openRoom(room, cleanName(asked.get("peer_id") ?? ""));
}

/** @param {string} address */
function go(address) {
  history.pushState(null, "", address);
  route();
}

/** @param {string} room */
const addressOf = (room) => `/?room=${encodeURIComponent(room)}`;

/** @param {string | null} problem */
function home(problem) {
  unreadTitle(0, "");
  const enter = (/** @type {string} */ name, /** @type {string} */ room) => {
    profile.keepName(name);
    go(addressOf(room));
  };
  const screen = homeScreen({
    name: profile.readName() || suggestion(),
    rooms: profile.readRooms(),
    theme: theme(),
    suggest: suggestion,
    create: (name) => enter(name, roomName(world.random(16))),
    join: enter,
    unsent: (room) => unsent.count(room).catch(() => 0),
    forget: async (room) => {
      await unsent.drop(room).then(() => profile.forgetRoom(room), () => {});
      return profile.readRooms();
    },
  });
  current = NOTHING_OPEN;
  place.replaceChildren(screen.node);
  if (problem) screen.explain(problem);
  void identity.then(({ lives }) => screen.setLives(lives));
}

/**
 * The name to use here: the link's, the profile's, or a friendly one that the profile then keeps.
 * @param {string} linked
 */
function nameFor(linked) {
  const kept = cleanName(profile.readName());
  if (linked && nameProblem(linked) === null) {
    if (!kept) profile.keepName(linked);
    return { name: linked, introduce: false };
  }
  if (kept) return { name: kept, introduce: false };
  const name = suggestion();
  profile.keepName(name);
  return { name, introduce: true };
}

/**
 * @param {string} asked the room
 * @param {string} linked a name from the address, or empty
 */
async function openRoom(asked, linked) {
  let over = false;
  current = { ...NOTHING_OPEN, stop: () => (over = true) };
  const who = await identity;
  if (over) return;
  const { name, introduce } = nameFor(linked);
  const shown = { introduce, drawing: false, since: world.now() };
  const draw = () => {
    if (shown.drawing || over) return;
    shown.drawing = true;
    window.setTimeout(() => {
      shown.drawing = false;
      if (!over) screen.update(roomData(room, shown));
    }, 16);
  };
  const room = makeRoom(asked, name, who, draw);
  const screen = makeScreen(room, shown, draw);
  const ticking = window.setInterval(() => tick(room, draw), TICK_MS);
  current = {
    stop: () => {
      over = true;
      window.clearInterval(ticking);
      room.stop();
    },
    wake: () => {
      shown.since = world.now();
      room.wake();
      draw();
    },
    rest: () => room.timeline.unread === 0 && screen.view.forgetUnread(),
    fragile: () => room.mine.fragile,
  };
  profile.keepRoom(asked);
  place.replaceChildren(screen.node);
  screen.update(roomData(room, shown));
  screen.settle();
  if (matchMedia("(pointer: fine)").matches) screen.focus();
  room.start();
  void learnNode(room, () => over);
}

/**
 * @param {Room} room
 * @param {() => void} draw
 */
function tick(room, draw) {
  room.direct.peers.measure();
  draw();
}

/**
 * @param {string} asked
 * @param {string} name
 * @param {import("./identity.js").Identity} who
 * @param {() => void} changed
 */
const makeRoom = (asked, name, who, changed) => new Room({
  world,
  room: asked,
  name,
  session,
  identity: who,
  kinds: RUNG_KINDS,
  strategy: asStrategy(profile.readStrategy()),
  forced: asRung(new URLSearchParams(location.search).get("rung")),
  place: location,
  verify,
  own: profile.readOwn(asked),
  mark: profile.readMark(asked),
  store: outbox,
  streams: new Streams({
    locks: navigator.locks,
    channel: typeof BroadcastChannel === "function" ? new BroadcastChannel(`egoat.outbox.${asked}`) : null,
  }),
  changed,
  shares: profile.readShares,
  keepOwn: (ids) => profile.keepOwn(asked, ids),
});

/**
 * @param {Room} room
 * @param {{introduce: boolean}} shown
 * @param {() => void} draw
 */
const makeScreen = (room, shown, draw) => roomScreen({
  room: room.room,
  draft: profile.readDraft(room.room),
  theme: theme(),
  receipts: receiptSwitch(profile.readShares(), (on) => {
    profile.keepShares(on);
    room.receipts.renew();
  }),
  send: (text) => {
    shown.introduce = false;
    room.mine.say(text);
  },
  problem: (text) => room.mine.textProblem(text),
  keepDraft: (text) => profile.keepDraft(room.room, text),
  again: (line) => room.mine.sayAgain(line),
  discard: (line) => room.mine.discard(line),
  older: () => void room.log.history.older(),
  read: () => {
    const mark = room.markRead();
    if (mark) profile.keepMark(room.room, mark);
    draw();
  },
  rename: (name) => {
    if (!room.rename(name)) return "Messages still wait on this device. Change the name once they have left.";
    shown.introduce = false;
    profile.keepName(name);
    history.replaceState(null, "", addressOf(room.room));
    return null;
  },
  retry: () => current.wake(),
  choose: (strategy, forced) => {
    profile.keepStrategy(strategy);
    room.choose(strategy, forced);
  },
  details: (line) => detailsOf(room, line),
  leave: () => go("/"),
});

/**
 * @param {Room} room
 * @param {{introduce: boolean, since: number}} shown
 * @returns {import("./ui/room-screen.js").RoomData}
 */
function roomData(room, shown) {
  const { timeline, identity: who, facts } = room;
  const { loading, loaded, complete, failed } = room.log.history;
  const situation = {
    rows: room.driver.rows(), online: navigator.onLine, now: world.now(), since: shown.since,
    refusal: room.refusal, guest: who.pk === null,
  };
  const { self, others, banner: news } = peopleViews(room, situation);
  return {
    room: room.room,
    self: { peerId: room.peerId, name: room.name, lives: who.lives },
    own: self, others, situation,
    keeps: room.plan.keeps,
    crowd: crowd(others.map(({ path }) => path)),
    banner: banner(situation) ?? news,
    choice: { ...room.choice, offered: facts.strategies },
    timeline: {
      room: room.room, lines: timeline.lines, notes: room.notes.list, proofs: room.log.proofs,
      via: (key) => room.log.arrivals.of(key)[0]?.rung ?? null, unread: timeline.unread,
      receipts: (line) => room.receipts.of(line), unseen: room.log.unseen,
      firstUnread: room.firstUnread(), now: room.nodeNow(), history: { loading, loaded, complete, failed },
    },
    link: `${(facts.publicBase || location.origin).replace(/\/+$/, "")}${addressOf(room.room)}`,
    local: !facts.publicBase && LOCAL.has(location.hostname),
    introduce: shown.introduce,
    receipts: facts.receipts !== false,
  };
}

/**
 * Reads the node's facts and clock; asked again until they came.
 * @param {Room} room
 * @param {() => boolean} isOver
 */
async function learnNode(room, isOver) {
  const asked = world.now();
  try {
    const config = await request(world, "/config");
    const { ws_port: wsPort, public_base: publicBase, now, limits, strategies } = config;
    const facts = {
      wsPort: Number(wsPort) || null,
      publicBase: typeof publicBase === "string" ? publicBase : "",
      textBytes: Number(limits?.text) || LIMITS.TEXT_BYTES,
      frameBytes: Number(limits?.frame) || LIMITS.FRAME_BYTES,
      receipts: config["receipts"] === true,
      strategies: Array.isArray(strategies) ? strategies.filter((name) => name in STRATEGIES) : ["auto"],
    };
    if (!isOver()) room.learnNode(facts, { now: Number(now), asked });
  } catch {
    if (!isOver()) window.setTimeout(() => void learnNode(room, isOver), CONFIG_AGAIN_MS);
  }
}

document.addEventListener("visibilitychange", () =>
  document.visibilityState === "visible" ? current.wake() : current.rest());
window.addEventListener("pageshow", (event) => event.persisted && current.wake());
for (const name of ["online", "offline"]) window.addEventListener(name, () => current.wake());
/** @type {any} */ (navigator).connection?.addEventListener("change", () => current.wake());
window.addEventListener("popstate", route);
window.addEventListener("beforeunload", (event) => current.fragile() && event.preventDefault());

showTheme(profile.readTheme());
route();
window.dispatchEvent(new Event("egoat-started"));
