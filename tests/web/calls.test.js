// What pages tell each other about a connection: descriptions, candidates, frames on the channel, relays; and why there is none.
import assert from "node:assert/strict";
import { test } from "node:test";

import { explain } from "../../web/js/explain.js";
import { plan } from "../../web/js/ladder/policy.js";
import { best, crowd, pathTo, peopleBanner, stepsTo, whyTo } from "../../web/js/peer-words.js";
import { Relay, checkTurn } from "../../web/js/relay.js";
import { callText, candidateKind, countCandidates, counted, fingerprints, isPlain, natKind } from "../../web/js/rungs/sdp.js";
import { attemptOf, checkCall } from "../../web/js/wire/call.js";
import { checkDirect } from "../../web/js/wire/direct.js";
import { fakeWorld } from "./fakes.js";

const STUN = "webrtc-stun";
const SESSION = "a".repeat(16);
const candidate = (/** @type {string} */ type, port = 5000, address = "192.0.2.7") => `candidate:1 1 udp 1 ${address} ${port} typ ${type} raddr 0.0.0.0 rport 0`;

test("fingerprints are read once each, and the signed text names everything a call is about", () => {
  const sdp = "v=0\r\na=fingerprint:SHA-256 aa:BB\r\nm=x\r\na=fingerprint:sha-256 AA:bb\r\na=fingerprint:sha-1 01\r\n";
  assert.deepEqual(fingerprints(sdp), ["sha-1 01", "sha-256 AA:BB"]);
  const said = { room: "r", rung: STUN, attempt: "x-1", kind: /** @type {const} */ ("offer"), from: "a s", to: "b t", sdp };
  assert.equal(callText(said), "egoat.rtc.1\nr\nwebrtc-stun\nx-1\noffer\na s\nb t\nsha-1 01\nsha-256 AA:BB");
  for (const other of [{ room: "q" }, { attempt: "x-2" }, { kind: /** @type {const} */ ("answer") }, { to: "c t" }]) {
    assert.notEqual(callText({ ...said, ...other }), callText(said));
  }
});

test("candidates are counted by kind", () => {
  assert.deepEqual(["host", "srflx", "prflx", "relay"].map((kind) => candidateKind(candidate(kind))), ["host", "srflx", "prflx", "relay"]);
  assert.equal(candidateKind("a=mid:0"), "");
  assert.deepEqual(countCandidates(`a=${candidate("host")}\r\na=${candidate("host")}\r\na=${candidate("relay")}\r\n`), { host: 2, relay: 1 });
  assert.deepEqual(counted({ host: 1 }, "nothing"), { host: 1 });
});

test("one port towards every STUN server is a cone, a port for each is symmetric", () => {
  assert.equal(natKind([candidate("host")]), null);
  assert.equal(natKind([candidate("srflx", 40_000), candidate("srflx", 40_000)]), "cone");
  assert.equal(natKind([candidate("srflx", 40_000), candidate("srflx", 40_001)]), "symmetric");
  for (const [word, one, other] of [["rport 0", "rport 5000", "rport 5001"], ["raddr 0.0.0.0", "raddr 10.0.0.2", "raddr 10.1.0.2"], ["rport 0", "rport 0 ufrag a", "rport 0 ufrag b"]]) {
    const two = [candidate("srflx", 40_000).replace(word, one), candidate("srflx", 40_001).replace(word, other)];
    assert.equal(natKind(two), "cone", `two sockets: ${one}, ${other}`);
    assert.equal(natKind([...two, candidate("srflx", 40_002).replace(word, other)]), "symmetric");
  }
});

test("a signal of any other form is none", () => {
  const good = { rung: STUN, attempt: `${SESSION}-3` };
  assert.deepEqual(checkCall({ ...good, sdp: "v=0", junk: 1 }), { ...good, sdp: "v=0" });
  assert.deepEqual(attemptOf(good.attempt), { session: SESSION, number: 3 });
  for (const bad of [null, 7, "x", [], { ...good, rung: "http-polling" }, { ...good, attempt: 3 }, { ...good, attempt: "x-1" }, { ...good, sdp: {} }, { ...good, sig: 1 }]) {
    assert.equal(checkCall(bad), null, JSON.stringify(bad));
  }
  const many = checkCall({ ...good, candidates: [{ candidate: candidate("host"), sdpMid: "0" }, 7, { candidate: "x".repeat(600) }, ...Array(200).fill({ candidate: "" })] });
  assert.equal(many?.candidates?.length, 62);
  assert.equal(checkCall({ ...good, refused: "x".repeat(999) })?.refused?.length, 300);
  assert.deepEqual(checkCall({ ...good, report: { step: "begun" } })?.report, { step: "begun" });
});

test("a frame on the channel of any other form is none", () => {
  for (const good of [{ type: "ping", t: 1 }, { type: "message", env: "{}", sig: "s", pk: "p" }, { type: "got", ids: ["a"] }]) {
    assert.deepEqual(checkDirect(JSON.stringify(good)), good);
  }
  for (const bad of ["", "{", "null", "[]", '{"type":"ping"}', '{"type":"message","env":7}', '{"type":"got","ids":[7]}', '{"type":"toString"}', '{"type":"welcome"}', 7, null]) {
    assert.equal(checkDirect(bad), null, String(bad));
  }
});

test("a direct connection never knows of the relay, a relayed one of nothing else, and credentials are renewed in time", async () => {
  const turn = { stun: ["stun:n:3478"], turn: ["turn:n:3478?transport=udp"], username: "u", credential: "c", ttl: 600 };
  const world = fakeWorld((path) => (path === "/turn" ? { ...turn, username: "u2" } : null));
  /** @type {string | null} */
  let token = null;
  const relay = new Relay(/** @type {any} */ (world), () => token);
  assert.deepEqual(await relay.servers(STUN), { config: { iceServers: [] } });
  assert.match(/** @type {any} */ (await relay.servers("webrtc-turn")).missing, /no relay/);
  token = "token";
  relay.take(turn);
  assert.deepEqual(await relay.servers(STUN), { config: { iceServers: [{ urls: turn.stun }] } });
  const relayed = /** @type {any} */ (await relay.servers("webrtc-turn"));
  assert.deepEqual(relayed.config, { iceServers: [{ urls: turn.turn, username: "u", credential: "c" }], iceTransportPolicy: "relay" });
  await world.pass(301_000);
  assert.equal(/** @type {any} */ (await relay.servers("webrtc-turn")).config.iceServers[0].username, "u2");
  relay.take(null);
  assert.equal(/** @type {any} */ (await relay.servers("webrtc-turn")).config.iceServers[0].username, "u2", "what it has still counts");
  await world.pass(700_000);
  relay.take(null);
  assert.match(/** @type {any} */ (await relay.servers("webrtc-turn")).missing, /no relay/);
  await world.pass(61_000);
  assert.equal(/** @type {any} */ (await relay.servers("webrtc-turn")).config.iceServers[0].username, "u2");
  for (const bad of [null, {}, { ...turn, ttl: "x" }, { ...turn, username: 7 }]) assert.equal(checkTurn(bad), null);
  assert.deepEqual(checkTurn({ ...turn, stun: ["http://evil", "stun:a"], turn: 7 }), { ...turn, stun: ["stun:a"], turn: [] });
});

test("a strategy, or a forced rung, decides for both ladders and for the log", () => {
  const node = ["websocket-direct", "http-polling"];
  assert.deepEqual(plan("auto"), { peers: [STUN, "webrtc-turn"], node, keeps: true, after: false });
  assert.deepEqual(plan("p2p-only"), { peers: [STUN, "webrtc-turn"], node, keeps: false, after: true });
  assert.deepEqual(plan("webrtc-stun"), { peers: [STUN], node, keeps: true, after: true });
  assert.deepEqual(plan("relay-safe"), { peers: ["webrtc-turn"], node, keeps: true, after: false });
  assert.deepEqual(plan("http-only"), { peers: [], node: ["http-polling"], keeps: true, after: false });
  assert.deepEqual(plan("auto", STUN), { peers: [STUN], node, keeps: true, after: true });
  assert.deepEqual(plan("auto", "http-polling"), { peers: [], node: ["http-polling"], keeps: true, after: false });
});

const facts = (/** @type {any} */ more = {}) => ({ step: "checking", mine: { host: 1 }, theirs: { host: 1 }, nat: null, errors: [], ...more });
const known = (/** @type {any} */ more) => explain({
  rung: STUN, phase: "resting", outcome: { what: "overdue", evidence: "x", at: 0 }, allowed: true, facts: facts(), theirs: null, name: "Bob", ...more,
});

test("why there is no direct path names both sides, and who can change it", () => {
  const symmetric = { mine: { host: 1, srflx: 2 }, nat: "symmetric" };
  const both = known({ facts: facts(symmetric), theirs: symmetric });
  assert.deepEqual(both.points, ["This device is behind a symmetric NAT.", "Bob’s device is behind a symmetric NAT.", "Both sides are behind symmetric NAT: no direct path exists."]);
  assert.match(both.remedy, /relay is made for it/);
  const one = known({ facts: facts({ mine: { srflx: 1 }, nat: "cone" }), theirs: symmetric });
  assert.match(one.points.join(" "), /knows its public address.*One side is behind/);
  const blocked = known({ facts: facts({ errors: ["stun:n:3478: no answer (701)"] }) });
  assert.match(blocked.points.join(" "), /learnt no public address: stun:n:3478: no answer \(701\)/);
  assert.match(blocked.remedy, /let UDP out/);
  const open = known({ facts: facts({ mine: { srflx: 1 }, nat: "cone" }), theirs: { mine: { srflx: 1 }, nat: "cone" } });
  assert.match(open.remedy, /firewall/);
  assert.match(known({ facts: facts({ step: "offered", theirs: {} }) }).points[0] ?? "", /did not answer the call/);
});

test("why there is no relayed path names the relay's answers", () => {
  const relay = (/** @type {any} */ more) => known({ rung: "webrtc-turn", ...more });
  const shut = relay({ facts: facts({ mine: {}, errors: ["turn:n:3478: no answer (701)"] }) });
  assert.match(shut.points[0] ?? "", /gave this device no address: turn:n:3478/);
  assert.match(shut.remedy, /3478/);
  assert.match(relay({ facts: facts({ mine: { relay: 1 } }), theirs: { mine: {}, errors: ["turn:n (701)\u0007"] } }).points[0] ?? "", /Bob’s device no address: turn:n \(701\)\.$/);
  assert.match(relay({ facts: facts({ mine: { relay: 1 } }) }).points[0] ?? "", /nothing came back/);
  assert.match(relay({ facts: facts({ step: "offered", mine: { relay: 1 }, theirs: {} }) }).points[0] ?? "", /did not answer/);
  assert.match(relay({ outcome: { what: "unavailable", evidence: "this node has no relay (TURN)", at: 0 } }).remedy, /coturn/);
});

test("what is off, under way, refused or lost is said so", () => {
  assert.match(known({ allowed: false }).points[0] ?? "", /switched off/);
  assert.deepEqual(known({ phase: "up" }), { points: [], remedy: "" });
  assert.match(known({ phase: "dialing", outcome: null }).points[0] ?? "", /being tried/);
  assert.match(known({ phase: "ready", outcome: null }).points[0] ?? "", /not tried yet/);
  assert.match(known({ outcome: { what: "refused", evidence: "no", at: 0 } }).points[0] ?? "", /Direct: no/);
  const lost = known({ outcome: { what: "closed", evidence: "nothing came in for 4 s", at: 0 }, theirs: { evidence: "the network changed" } });
  assert.deepEqual(lost.points, ["Direct worked and broke off: nothing came in for 4 s.", "Bob’s side: the network changed."]);
});

/** @param {string} name @param {any} phase */
const row = (name, phase, active = false) => /** @type {any} */ ({
  name, active, since: 0, barred: null, allowed: true, quality: { rtt: 12, jitter: 1, loss: 0, score: 98 },
  rung: { name, phase, tries: 0, outcome: phase.type === "resting" ? { what: "overdue", evidence: "no answer", at: 0 } : null },
});
const UP = { type: "up", bad: 0, tainted: false, good: 0 };
const reach = (/** @type {any[]} */ rows, /** @type {any} */ more = {}) => ({
  session: SESSION, rows, facts: new Map(), theirs: new Map(), proof: /** @type {const} */ ("good"), pair: "", ...more,
});
const situation = (/** @type {any[]} */ node = [row("websocket-direct", UP, true), row("http-polling", UP)]) =>
  ({ rows: node, online: true, now: 1_000, since: 0, refusal: null, guest: false });

test("the path to a person is the best session's, and the node's where there is none", () => {
  const direct = reach([row(STUN, UP, true), row("webrtc-turn", UP)], { pair: "host ↔ srflx, UDP" });
  const relayed = reach([row(STUN, { type: "resting", due: 9_000 }), row("webrtc-turn", UP, true)], { proof: "guest" });
  const none = reach([row(STUN, { type: "resting", due: 9_000 }), row("webrtc-turn", { type: "ready", due: 0 })]);
  assert.equal(best([none, relayed, direct]), direct);
  assert.equal(best([]), null);
  const paths = [direct, relayed, none, null].map((one) => pathTo(one, situation()));
  assert.deepEqual(paths.map(({ text, figure, rung }) => [text, figure, rung]), [
    ["Direct", "12 ms", STUN], ["Relay", "12 ms", "webrtc-turn"],
    ["Through the node", "WebSocket", "websocket-direct"], ["Through the node", "WebSocket", "websocket-direct"],
  ]);
  assert.equal(crowd(paths), "1 direct, 1 relayed, 2 through the node");
  assert.equal(crowd(paths.slice(2)), "");
  assert.equal(pathTo(none, situation([])).text, "Not reached");
  assert.match(whyTo("Bob", direct, situation()).points.join(" "), /straight to Bob’s device \(host ↔ srflx, UDP\); their key signed/);
  assert.match(whyTo("Bob", relayed, situation()).points.join(" "), /this node’s relay; a guest has no key/);
  assert.match(whyTo("Bob", none, situation()).points.join(" "), /So messages go through the node, by WebSocket/);
  assert.match(whyTo("Bob", none, situation()).next, /Trying again in 8 s/);
  assert.match(whyTo("Bob", none, situation([])).points.join(" "), /no path to its node either/);
  assert.match(whyTo("Bob", null, situation()).points.join(" "), /shares no direct path/);
});

test("five steps lead to a person; only one is in use", () => {
  const steps = (/** @type {any} */ one) => stepsTo(one, situation()).map(({ name, mark }) => `${name} ${mark}`);
  assert.deepEqual(steps(reach([row(STUN, UP, true), row("webrtc-turn", UP)])), [
    "webrtc-stun active", "webrtc-turn standby", "websocket-direct standby", "http-polling standby", "lan-broadcast never",
  ]);
  assert.equal(stepsTo(reach([row(STUN, UP, true), row("webrtc-turn", { type: "ready", due: 0 })]), situation())[1]?.figures, "not needed");
  assert.deepEqual(steps(reach([row(STUN, { type: "ready", due: 0 }), row("webrtc-turn", { type: "ready", due: 0 })].map((one) => ({ ...one, allowed: false })))).slice(0, 3), [
    "webrtc-stun down", "webrtc-turn down", "websocket-direct active",
  ]);
});

test("a line tells who lost the direct path just now, and whom nothing reaches when nothing is kept", () => {
  const fallen = row(STUN, { type: "resting", due: 9_000 });
  fallen.rung.outcome = { what: "closed", evidence: "nothing came in for 4 s", at: 500 };
  const broken = reach([fallen, row("webrtc-turn", UP, true)]);
  const people = (/** @type {any[]} */ ...reaches) => reaches.map((one, index) => ({ name: ["Bob", "Cyd", "Dot"][index] ?? "", reach: one, path: pathTo(one, situation()) }));
  assert.match(peopleBanner(people(broken), 1_000, true)?.text ?? "", /direct path to Bob broke off. Messages go through the relay; nothing is lost/);
  assert.equal(peopleBanner(people(broken), 30_000, true), null);
  assert.equal(peopleBanner(people(reach([row(STUN, UP, true)])), 1_000, false), null);
  const none = reach([row(STUN, { type: "ready", due: 0 })]);
  assert.match(peopleBanner(people(none, none), 1_000, false)?.text ?? "", /no direct path reaches Bob and Cyd now/);
  assert.match(peopleBanner(people(none, none, none), 1_000, false)?.text ?? "", /Bob, Cyd and 1 more/);
});

test("a description that browsers might read differently is refused", () => {
  const good = "v=0\r\ns=-\r\na=fingerprint:sha-256 AA:BB\r\n";
  assert.ok(isPlain(good));
  for (const bad of [
    `${good}a=fingerprint:sha-256  CC:DD\r\n`, `${good}a= fingerprint:sha-256 CC:DD\r\n`, `${good}A=Fingerprint:sha-256 CC:DD\r\n`,
    `${good}s=x\u2028a=fingerprint:sha-256 CC:DD\r\n`, `${good}s=x\ra=fingerprint:sha-256 CC:DD\r\n`, `${good}a=fingerprint:sha-256\tCC:DD\r\n`,
  ]) assert.equal(isPlain(bad), false, JSON.stringify(bad));
});
