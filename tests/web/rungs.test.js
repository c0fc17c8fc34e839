// The two rungs against a scripted node: which socket wins, what a hello and a join carry, when a token is renewed.
import assert from "node:assert/strict";
import { test } from "node:test";

import { httpPolling } from "../../web/js/rungs/http-polling.js";
import { websocketDirect } from "../../web/js/rungs/websocket-direct.js";
import { fakeWorld, settle } from "./fakes.js";

const WELCOME = {
  type: "welcome", v: 1, peer_id: "p", token: "t1", log_id: "00000000000000aa", head: 3, floor: 0, now: 5, roster: [], turn: null,
};
const CHALLENGE = { type: "challenge", nonce: "N", now: 5 };

/** @param {any} world */
function context(world, signs = true) {
  const held = {
    world, room: "r", signs, socketUrls: () => ["ws://a/signal", "ws://b/signal"], cursor: () => held.place,
    place: /** @type {string | null} */ (null), secret: /** @type {string | null} */ (null),
    token: () => held.secret, word: () => [],
    keepToken: (/** @type {string | null} */ token) => (held.secret = token),
    proof: async (/** @type {string} */ nonce) => ({ session: "s", name: "Ann", ...(signs ? { pk: "k", nonce, origin: "o", sig: "x" } : {}) }),
  };
  return held;
}

function listener() {
  /** @type {any[]} */
  const heard = [];
  return {
    heard,
    opened: (/** @type {any} */ welcome) => heard.push(["opened", welcome]),
    frame: (/** @type {any} */ frame) => heard.push(["frame", frame.type]),
    roster: (/** @type {any} */ rows) => heard.push(["roster", rows.length]),
    ended: (/** @type {any} */ ending) => heard.push(["ended", ending]),
  };
}
const events = () => {
  const told = listener();
  return { told, given: /** @type {any} */ ({ ...told, heard: () => {} }) };
};

function sockets() {
  /** @type {any[]} */
  const made = [];
  class Socket {
    constructor(/** @type {string} */ url, /** @type {string[]} */ protocols) {
      Object.assign(this, { url, protocols, readyState: 1, sent: [], closed: null });
      made.push(this);
    }

    send(/** @type {string} */ text) {
      /** @type {any} */ (this).sent.push(JSON.parse(text));
    }

    close(/** @type {number} */ code) {
      /** @type {any} */ (this).closed = code;
    }
  }
  return { made, Socket };
}
const say = (/** @type {any} */ socket, /** @type {any} */ frame) => socket.onmessage?.({ data: JSON.stringify(frame) });

/** @param {boolean} [signs] */
function dialSocket(signs) {
  const world = fakeWorld();
  const { made, Socket } = sockets();
  world.WebSocket = Socket;
  const ctx = context(world, signs);
  const { told, given } = events();
  const link = websocketDirect.dial(/** @type {any} */ (ctx), given);
  return { world, made, ctx, link, heard: told.heard };
}

test("a socket at the page's own origin is challenged, greets with a signed join and its cursor, and opens", async () => {
  const { made, ctx, link, heard } = dialSocket();
  ctx.place = "00000000000000aa.3";
  assert.deepEqual([made[0].url, made[0].protocols], ["ws://a/signal", ["egoat.1"]]);
  say(made[0], CHALLENGE);
  await settle();
  assert.deepEqual(made[0].sent, [{
    type: "hello", v: [1], room: "r", session: "s", name: "Ann", pk: "k", nonce: "N", origin: "o", sig: "x", after: ctx.place,
  }]);
  say(made[0], WELCOME);
  assert.deepEqual(heard, [["opened", WELCOME]]);
  link.send({ type: "ping", t: 1 });
  assert.deepEqual(made[0].sent[1], { type: "ping", t: 1 });
  say(made[0], { type: "pong", t: 1, now: 2 });
  say(made[0], { type: "unheard of" });
  assert.deepEqual(heard.slice(1), [["frame", "pong"]]);
});

test("a silent first address is joined by the second; whoever is challenged first is kept", async () => {
  const { world, made } = dialSocket();
  await world.pass(1600);
  assert.equal(made.length, 2);
  say(made[1], CHALLENGE);
  await settle();
  assert.equal(made[0].closed, 1000);
  assert.equal(made[1].sent[0].type, "hello");
  made[0].onclose?.({ code: 1006 });
  say(made[1], WELCOME);
  await world.pass(5000);
  assert.equal(made.length, 2);
});

test("two addresses that fail end the dial once, without being final", async () => {
  const { made, heard } = dialSocket();
  made[0].onclose({ code: 1006 });
  assert.equal(made.length, 2);
  assert.deepEqual(heard, []);
  made[1].onclose({ code: 1006 });
  assert.deepEqual(heard, [["ended", { what: "refused", evidence: "it could not be opened", final: false, code: "1006" }]]);
});

test("a refused join is final and told in the node's words; a stale one is not final", async () => {
  for (const [close, final] of /** @type {[number, boolean][]} */ ([[1008, true], [4003, true], [4001, true], [4401, false], [1013, false]])) {
    const { made, heard, ctx } = dialSocket();
    ctx.secret = "T";
    say(made[0], CHALLENGE);
    await settle();
    say(made[0], { type: "fault", code: "forbidden", detail: "this name is reserved", retry: null });
    made[0].onclose({ code: close });
    assert.deepEqual(heard, [["ended", { what: "refused", evidence: "this name is reserved", final, code: "forbidden" }]]);
    assert.equal(ctx.secret, close === 4401 ? null : "T");
  }
});

test("a closed link says nothing more and sends nothing more", async () => {
  const { made, link, heard } = dialSocket(false);
  say(made[0], CHALLENGE);
  await settle();
  assert.deepEqual(made[0].sent[0], { type: "hello", v: [1], room: "r", session: "s", name: "Ann" });
  say(made[0], WELCOME);
  link.close();
  assert.equal(made[0].onmessage, null);
  assert.equal(made[0].onclose, null);
  assert.equal(heard.length, 1);
});

/**
 * @param {(path: string, body: any, headers: any) => any} node
 * @param {boolean} [signs]
 */
function dialPolling(node, signs) {
  const world = fakeWorld(node);
  const ctx = context(world, signs);
  const { told, given } = events();
  const link = httpPolling.dial(/** @type {any} */ (ctx), given);
  return { world, ctx, link, heard: told.heard };
}
/**
 * @param {(path: string, body: any, headers: any) => any} node
 * @param {string} token
 */
function guestWith(node, token) {
  const world = fakeWorld(node);
  const ctx = context(world, false);
  ctx.secret = token;
  ctx.proof = async () => ({ session: "s", name: "Ann", ...(ctx.secret ? { token: ctx.secret } : {}) });
  return { world, ctx, ...events() };
}
const refusal = (/** @type {number} */ status, /** @type {string} */ code, /** @type {number | null} */ retry = null) =>
  ({ status, body: { code, detail: code, retry } });
const never = () => new Promise(() => {});

test("without a token it signs a challenge; a guest joins with its label alone", async () => {
  const node = (/** @type {string} */ path) => (path === "/join/challenge" ? { nonce: "N" } : WELCOME);
  const signed = dialPolling(node);
  await settle();
  assert.deepEqual(signed.world.asked.map(({ path }) => path), ["/join/challenge", "/join"]);
  assert.deepEqual(signed.world.asked[1].body, { room: "r", session: "s", name: "Ann", pk: "k", nonce: "N", origin: "o", sig: "x" });
  assert.deepEqual(signed.heard, [["opened", { ...WELCOME }]]);
  assert.equal(signed.ctx.secret, "t1");
  const guest = dialPolling(node, false);
  await settle();
  assert.deepEqual(guest.world.asked.map(({ body }) => body), [{ room: "r", session: "s", name: "Ann" }]);
});

test("in use it reads on from the cursor, keeps the node's next place, roster tag and token", async () => {
  let polls = 0;
  const node = (/** @type {string} */ path, /** @type {any} */ body) => {
    if (path !== "/poll") return path === "/join" ? WELCOME : { nonce: "N" };
    polls += 1;
    if (polls > 2) return never();
    const message = { type: "message", seq: 4, at: 1, env: "{}" };
    const roster = body.roster === "" ? { tag: "T", peers: [] } : undefined;
    return { frames: [message], next: "00000000000000aa.4", now: 1, token: "t2", roster };
  };
  const { world, link, heard, ctx } = dialPolling(node);
  await settle();
  ctx.place = "00000000000000aa.3";
  link.activate(true);
  await settle();
  const bodies = world.asked.filter(({ path }) => path === "/poll").map(({ body }) => body);
  assert.deepEqual(bodies.map(({ after, wait, roster }) => [after, wait, roster]), [
    ["00000000000000aa.3", 4, ""], ["00000000000000aa.4", 4, "T"], ["00000000000000aa.4", 4, "T"],
  ]);
  assert.equal(world.asked.at(-1).headers.Authorization, "Bearer t2");
  assert.deepEqual(heard.slice(1), [["frame", "message"], ["roster", 0], ["frame", "message"]]);
});

test("a body holds no more than the node takes, however much was queued", async () => {
  const node = (/** @type {string} */ path) => (path === "/poll" ? { frames: [], next: null, now: 1 } : path === "/join" ? WELCOME : { nonce: "N" });
  const { world, link } = dialPolling(node);
  await settle();
  const candidate = { candidate: "candidate:1", sdpMid: "0", sdpMLineIndex: 0, usernameFragment: "x" };
  for (let number = 0; number < 60; number += 1) {
    link.send({ type: "ice", target_peer_id: "p", target_session: "s", payload: { rung: "webrtc-stun", attempt: `a-${number}`, candidates: Array(6).fill(candidate) } });
  }
  await settle();
  const bodies = world.asked.filter(({ path }) => path === "/poll").map(({ body }) => body);
  assert.equal(bodies.flatMap(({ frames }) => frames).length, 60);
  const keys = (/** @type {any} */ value) => (typeof value !== "object" || value === null ? 0
    : Object.values(value).reduce((sum, each) => sum + keys(each), Array.isArray(value) ? 0 : Object.keys(value).length));
  assert.ok(Math.max(...bodies.map(keys)) <= 256);
});

test("what the old network swallowed is asked again at once on a new one", async () => {
  const node = (/** @type {string} */ path) => (path === "/poll" ? never() : path === "/join" ? WELCOME : { nonce: "N" });
  const { world, link, heard } = dialPolling(node);
  await settle();
  link.activate(true);
  link.send({ type: "send", env: "1" });
  await settle();
  const polls = () => world.asked.filter(({ path }) => path === "/poll").map(({ body }) => body.frames.length);
  assert.deepEqual(polls().sort(), [0, 1]);
  link.refresh();
  await settle();
  assert.deepEqual(polls().sort(), [0, 0, 1, 1]);
  assert.deepEqual(heard.filter(([what]) => what === "ended"), []);
});

test("one batch is under way at a time, and what fails for the moment is sent again", async () => {
  /** @type {((answer: any) => void)[]} */
  const waiting = [];
  const node = (/** @type {string} */ path) =>
    path === "/poll" ? new Promise((resolve) => waiting.push(resolve)) : path === "/join" ? WELCOME : { nonce: "N" };
  const { world, link } = dialPolling(node);
  await settle();
  link.send({ type: "send", env: "1" });
  link.send({ type: "send", env: "2" });
  await settle();
  link.send({ type: "send", env: "3" });
  await settle();
  const batches = () => world.asked.filter(({ path }) => path === "/poll").map(({ body }) => body.frames.map(({ env }) => env).join(""));
  assert.deepEqual(batches(), ["12"]);
  waiting.shift()?.(refusal(503, "unavailable", 1));
  await settle();
  assert.deepEqual(batches(), ["12"]);
  await world.pass(1000);
  assert.deepEqual(batches(), ["12", "123"]);
  assert.deepEqual(world.asked.at(-1).body.after, null);
});

test("a token that ended is renewed by a new join, and the batch goes again", async () => {
  let stale = true;
  const node = (/** @type {string} */ path) => {
    if (path !== "/poll") return path === "/join" ? { ...WELCOME, token: stale ? "old" : "new" } : { nonce: "N" };
    if (!stale) return { frames: [], next: null, now: 1 };
    stale = false;
    return refusal(401, "unauthorized");
  };
  const { world, link, ctx, heard } = dialPolling(node);
  await settle();
  link.send({ type: "ping", t: 1 });
  await settle();
  assert.equal(ctx.secret, "new");
  assert.deepEqual(world.asked.map(({ path }) => path), ["/join/challenge", "/join", "/poll", "/join/challenge", "/join", "/poll"]);
  assert.equal(heard.some(([what]) => what === "ended"), false);
});

test("a guest joins again with its last token, ended or not, and without it when the node does not know it", async () => {
  for (const known of [true, false]) {
    let left = 1;
    const node = (/** @type {string} */ path, /** @type {any} */ body) => {
      if (path === "/poll") return left-- > 0 ? refusal(401, "unauthorized") : { frames: [], next: null, now: 1 };
      return body.token && !known ? refusal(401, "unauthorized") : WELCOME;
    };
    const { world, ctx, given, told } = guestWith(node, "old");
    httpPolling.dial(/** @type {any} */ (ctx), given);
    await settle();
    const joins = world.asked.filter(({ path }) => path === "/join").map(({ body }) => body.token);
    assert.deepEqual(joins, known ? ["old"] : ["old", undefined]);
    assert.equal(ctx.secret, "t1");
    assert.deepEqual(told.heard, [["opened", WELCOME]]);
  }
});

test("a token from the socket opens the rung without another join; one that ended does not", async () => {
  const world = fakeWorld((path, body, headers) => {
    if (path === "/poll") return headers.Authorization === "Bearer good" ? { frames: [], next: null, now: 1 } : refusal(401, "unauthorized");
    return path === "/join" ? WELCOME : { nonce: "N" };
  });
  for (const [token, paths, opened] of /** @type {[string, string[], any][]} */ ([
    ["good", ["/poll"], null], ["gone", ["/poll", "/join/challenge", "/join"], WELCOME],
  ])) {
    world.asked.length = 0;
    const ctx = context(world);
    ctx.secret = token;
    const { told, given } = events();
    httpPolling.dial(/** @type {any} */ (ctx), given);
    await settle();
    assert.deepEqual(world.asked.map(({ path }) => path), paths);
    assert.deepEqual(told.heard, [["opened", opened]]);
  }
});

test("a node that cannot be reached ends the link, a refused join ends it for good, a cancelled one in silence", async () => {
  const gone = dialPolling(() => null);
  await settle();
  assert.deepEqual(gone.heard, [["ended", { what: "refused", evidence: "no connection", final: false, code: "unreachable" }]]);
  const refused = dialPolling((path) => (path === "/join" ? refusal(403, "forbidden") : { nonce: "N" }));
  await settle();
  assert.deepEqual(refused.heard, [["ended", { what: "refused", evidence: "forbidden", final: true, code: "forbidden" }]]);
  const closed = dialPolling(never);
  closed.link.close();
  await closed.world.pass(20_000);
  assert.deepEqual(closed.heard, []);
  const slow = dialPolling(never);
  await slow.world.pass(9_000);
  assert.deepEqual(slow.heard, [["ended", { what: "refused", evidence: "no answer in time", final: false, code: "unreachable" }]]);
});

test("an answer that is not the node's is not taken for one", async () => {
  for (const body of [[], "text", { ok: true }]) {
    const { heard } = dialPolling((path) => (path === "/join" ? { status: 200, body } : { nonce: "N" }));
    await settle();
    assert.equal(heard[0]?.[0], "ended");
  }
});
