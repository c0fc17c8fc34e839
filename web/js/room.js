// One open room: ties the ladder, the log, the own messages and the people together into what the page shows.

import { Direct } from "./direct.js";
import { Driver } from "./driver.js";
import { joinFields } from "./join.js";
import { NODE_LADDER, plan } from "./ladder/policy.js";
import { Log } from "./log.js";
import { guess, learn, nodeTime, notBefore } from "./node-clock.js";
import { Notes } from "./notes.js";
import { OwnMessages } from "./own-messages.js";
import { People } from "./people.js";
import { Receipting } from "./receipting.js";
import { socketUrls } from "./rungs/websocket-direct.js";
import * as timelines from "./timeline.js";
import { checkRoster } from "./wire/codec.js";
import { guestId, isGuest } from "./wire/ids.js";
import { LIMITS } from "./wire/protocol.gen.js";

/** @typedef {import("./wire/codec.js").Frame} Frame */
/** @typedef {import("./timeline.js").Line} Line */
/** Where only a direct path may carry messages, the node's copy follows it by so much, for the record. */
const AFTER_MS = 250;

/**
 * What `/config` told.
 * @typedef {{wsPort: number | null, publicBase: string, textBytes: number, frameBytes: number,
 *   strategies: readonly string[], receipts: boolean | null}} NodeFacts `receipts`: whether the node takes them, null while
 *   that is not known
 */

/**
 * @typedef {object} RoomParts
 * @property {import("./api.js").World} world
 * @property {string} room
 * @property {string} name the shown name
 * @property {string} session
 * @property {import("./identity.js").Identity} identity
 * @property {ReadonlyMap<string, import("./rungs/index.js").RungKind>} kinds
 * @property {string} strategy which rungs may carry messages
 * @property {string | null} forced the one rung that may, for tests and trials
 * @property {{protocol: string, host: string, hostname: string, origin: string}} place where the page came from
 * @property {import("./verify.js").Verify} verify
 * @property {ReadonlySet<string>} own ids of messages sent from this profile earlier
 * @property {string} mark how far this profile has read: a cursor, or empty
 * @property {import("./keeper.js").KeeperParts["store"]} store where unacked messages are kept
 * @property {import("./keeper.js").KeeperParts["streams"]} streams
 * @property {() => boolean} shares whether this person tells others what was received and read
 * @property {() => void} changed something that is shown has changed
 * @property {(ids: ReadonlySet<string>) => void} keepOwn
 */

export class Room {
  /** @param {RoomParts} parts */
  constructor(parts) {
    const { world, room, name, identity } = parts;
    this.parts = parts;
    this.world = world;
    this.room = room;
    this.identity = identity;
    this.name = name;
    this.clock = guess(world.wall(), world.now());
    /** @type {NodeFacts} */
    this.facts = {
      wsPort: null, publicBase: "", textBytes: LIMITS.TEXT_BYTES, frameBytes: LIMITS.FRAME_BYTES, strategies: ["auto"],
      receipts: null,
    };
    /** @type {Map<string, string>} the last token under each name that this page had */
    this.tokens = new Map();
    /** @type {import("./rungs/index.js").Ending | null} */
    this.refusal = null;
    this.joined = false;
    this.choice = { strategy: parts.strategy, forced: parts.forced };
    this.plan = plan(parts.strategy, parts.forced);
    this.notes = new Notes(() => this.nodeNow(), world);
    this.people = new People(room, this.notes, () => this.peerId);
    this.log = this.makeLog();
    this.driver = this.makeDriver();
    this.mine = this.makeOwn();
    this.receipts = this.makeReceipting();
    this.direct = this.makeDirect();
    this.direct.peers.allow(this.plan.peers);
  }

  /** The id under which this page speaks. */
  get peerId() {
    return this.identity.peerId ?? guestId(this.name);
  }

  get token() {
    return this.tokens.get(this.name) ?? null;
  }

  /** @param {string | null} token null: the node did not take it */
  keepToken(token) {
    if (token === null) this.tokens.delete(this.name);
    else this.tokens.set(this.name, token);
  }

  get timeline() {
    return this.log.timeline;
  }

  start() {
    this.driver.start();
    this.mine.start();
    void this.log.history.start();
  }

  stop() {
    this.driver.stop();
    this.mine.stop();
    this.direct.stop();
    this.receipts.stop();
    this.log.history.stopped = true;
  }

  nodeNow() {
    return Math.round(nodeTime(this.clock, this.world.now()));
  }

  /**
   * @param {NodeFacts} facts
   * @param {{now: number, asked: number}} reading
   */
  learnNode(facts, { now, asked }) {
    this.facts = facts;
    const [first = "auto"] = facts.strategies;
    if (!facts.strategies.includes(this.choice.strategy)) this.choose(first, this.choice.forced);
    if (now > 0) this.clock = learn(this.clock, now, asked, this.world.now());
    this.receipts.renew();
    this.parts.changed();
  }

  /** Whether others are told what this page has received and read. */
  get shares() {
    return this.facts.receipts === true && this.parts.shares();
  }

  /** Everything shown has been read. Returns the cursor that says so, or null. */
  markRead() {
    const cursor = this.log.markRead();
    this.receipts.note();
    return cursor;
  }

  /** Takes another name; false while messages under a guest's old one still wait. @param {string} name */
  rename(name) {
    if (name === this.name) return true;
    if (isGuest(this.peerId) && this.mine.waiting > 0 && !this.refusal) return false;
    this.name = name;
    this.refusal = null;
    const link = this.driver.current()?.link;
    if (this.identity.pk && link) link.send({ type: "name", name });
    else this.driver.rejoin();
    this.parts.changed();
    return true;
  }

  /**
   * Who is here, oneself first, then by name.
   * @returns {import("./roster.js").Person[]}
   */
  present() {
    const { roster } = this.people;
    const others = [...roster.values()].filter(({ peerId }) => peerId !== this.peerId);
    const alone = { peerId: this.peerId, verified: this.identity.pk !== null, sessions: [] };
    const self = { ...(roster.get(this.peerId) ?? alone), name: this.name };
    return [self, ...others.sort((one, other) => one.name.localeCompare(other.name))];
  }

  /** The place of the first unread message among the lines, -1 when all are read. */
  firstUnread() {
    return timelines.firstUnread(this.timeline);
  }

  /** This device woke, or its network is another one. */
  wake() {
    this.refusal = null;
    this.driver.networkChanged();
    this.direct.peers.networkChanged();
    if (!this.log.history.loaded) void this.log.history.start();
  }

  /** @returns {Log} */
  makeLog() {
    const { world, room, verify, mark, changed } = this.parts;
    return new Log({
      world,
      room,
      mark,
      verify,
      changed: () => {
        this.receipts.note();
        changed();
      },
      isMine: (sender, id) => this.mine.isMine(sender, id),
      seen: (message) => {
        this.clock = notBefore(this.clock, message.at, world.now());
        this.mine.seen(message);
        this.direct.logged(message);
      },
      replaced: (reason) => {
        this.notes.log(reason);
        changed();
      },
    });
  }

  /** @returns {OwnMessages} */
  makeOwn() {
    const { own, keepOwn, store, streams, changed } = this.parts;
    const { world, room, identity, log } = this;
    return new OwnMessages({
      world, room, identity, log, own, keepOwn, store, streams, changed,
      self: () => ({ peerId: this.peerId, name: this.name }),
      nodeNow: () => this.nodeNow(),
      limits: () => this.facts,
      current: () => this.driver.current(),
      keeps: () => this.plan.keeps,
      pause: () => (this.plan.after && this.direct.peers.reached ? AFTER_MS : 0),
      sealed: (id, sealed) => this.direct.say(id, sealed),
    });
  }

  makeReceipting() {
    const { world, log, people } = this;
    return new Receipting({
      world, log,
      self: () => this.peerId,
      roster: () => people.roster,
      shares: () => this.shares,
      send: (frame) => this.toNode(frame),
      kept: (id) => !this.mine.unkept.has(id),
    });
  }

  /** @param {object} frame @returns {boolean} false while no path to the node is up */
  toNode(frame) {
    const current = this.driver.current();
    current?.link.send(frame);
    return current !== null;
  }

  /** @returns {Direct} */
  makeDirect() {
    const { kinds, session, verify, changed } = this.parts;
    const { world, room, identity, log } = this;
    return new Direct({
      world, room, identity, log, kinds, session, verify, changed,
      peerId: () => this.peerId,
      token: () => this.token,
      nodeNow: () => this.nodeNow(),
      toNode: (frame) => this.toNode(frame),
      quiet: () => this.facts.receipts === false || !this.parts.shares(),
      isOwn: (id) => this.mine.ids.has(id),
      got: (from, ids, quiet) => {
        this.mine.handed(ids);
        if (!quiet) this.receipts.handed(from.peerId, ids);
        changed();
      },
      used: (peer, rung) => this.notes.peerPath(peer.remote.name, peer.key, rung, () => peer.rung, changed),
    });
  }

  /** Takes another strategy, or forces one rung. @param {string} strategy @param {string | null} forced */
  choose(strategy, forced) {
    this.choice = { strategy, forced };
    this.plan = plan(strategy, forced);
    this.driver.allow(this.plan.node);
    this.direct.peers.allow(this.plan.peers);
    this.parts.changed();
  }

  makeDriver() {
    return new Driver({
      kinds: this.parts.kinds,
      config: NODE_LADDER,
      allowed: this.plan.node,
      context: this.makeContext(),
      told: {
        opened: (rung, welcome) => welcome && this.welcomed(rung, welcome),
        frame: (rung, frame) => this.received(rung, frame),
        roster: (rows) => {
          this.people.replace(rows);
          this.metPeople();
          this.parts.changed();
        },
        use: (rung) => this.used(rung),
        refused: (_rung, ending) => {
          this.refusal = ending;
        },
        changed: () => this.parts.changed(),
      },
    });
  }

  /** @returns {import("./rungs/index.js").Context} */
  makeContext() {
    const { place, session } = this.parts;
    const { room, identity, world } = this;
    return {
      world,
      room,
      signs: identity.pk !== null,
      socketUrls: () => socketUrls(place, this.facts.wsPort),
      cursor: () => this.log.cursor(),
      token: () => this.token,
      word: () => this.receipts.said(),
      keepToken: (token) => this.keepToken(token),
      proof: (nonce) => {
        const { name, token } = this;
        return joinFields({ identity, room, session, name, origin: place.origin, token }, nonce);
      },
    };
  }

  /**
   * @param {string} rung
   * @param {Frame} welcome
   */
  welcomed(rung, welcome) {
    const now = this.world.now();
    this.joined = true;
    this.refusal = null;
    this.keepToken(welcome["token"]);
    this.clock = learn(this.clock, welcome["now"], now - 400, now);
    this.log.follow({ logId: welcome["log_id"], floor: welcome["floor"], head: welcome["head"] });
    this.direct.relay.take(welcome["turn"]);
    if (!this.driver.isSpare(rung)) this.people.replace(checkRoster(welcome["roster"]));
    this.metPeople();
    this.receipts.told(welcome);
  }

  metPeople() {
    this.direct.peers.follow([...this.people.roster.values()]);
  }

  /** @param {string | null} rung */
  used(rung) {
    this.notes.path(rung, () => this.driver.state.active, () => this.parts.changed());
    if (rung !== null && !this.log.history.loaded) void this.log.history.start();
    this.receipts.renew();
    queueMicrotask(() => this.mine.sender.pump());
  }

  /**
   * @param {string} rung
   * @param {Frame} frame
   */
  received(rung, frame) {
    switch (frame.type) {
      case "message":
        this.log.take(/** @type {any} */ (frame), false, rung);
        this.receipts.note();
        break;
      case "receipts":
        if (!this.receipts.told(frame)) return;
        break;
      case "ack":
        this.mine.acked(frame);
        this.direct.settled(frame["id"]);
        break;
      case "pong":
        this.ponged(frame);
        break;
      case "fault":
        this.faulted(frame);
        break;
      case "reset":
        this.log.history.replace(/** @type {any} */ (frame));
        break;
      case "peer_joined":
      case "peer_left":
      case "peer_named":
        this.people.change(/** @type {any} */ (frame));
        this.metPeople();
        break;
      case "offer":
      case "answer":
      case "ice":
        return this.direct.peers.signalled(frame);
      default:
        return;
    }
    this.parts.changed();
  }

  /** @param {Frame} frame */
  ponged(frame) {
    const now = this.world.now();
    this.clock = learn(this.clock, frame["now"], Math.min(now, frame["t"]), now);
  }

  /** @param {Frame} frame */
  faulted({ id, code, detail, retry, now }) {
    const time = typeof now === "number" ? now : null;
    if (code === "clock" && time !== null) {
      const device = this.world.now();
      this.clock = { offset: time - device, slack: 500, learnt: device };
    }
    if (typeof id !== "string") return;
    if (typeof retry !== "number" && code !== "clock") this.direct.settled(id);
    this.mine.sender.fault({ id, code, detail, retry: typeof retry === "number" ? retry : null, now: time });
  }
}
