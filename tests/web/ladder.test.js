// The ladder against the traces it shares with its Python twin, and its invariants under random events.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { DEFAULTS, NODE_LADDER, RUNGS, STRATEGIES, allowed, allowedToNode } from "../../web/js/ladder/policy.js";
import { isGood, measure, remember } from "../../web/js/ladder/quality.js";
import { ladder } from "../../web/js/ladder/state.js";
import { step } from "../../web/js/ladder/step.js";

const folder = new URL("../vectors/ladder/", import.meta.url);
const read = (name) => JSON.parse(readFileSync(new URL(name, folder), "utf8"));
const files = readdirSync(folder).filter((name) => /^(rule|node-)/.test(name)).sort();

test("every rule has its traces", () => {
  const rules = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((number) => `rule${number}`);
  assert.deepEqual(files.map((name) => name.split("-")[0]), ["node", ...rules]);
});

for (const name of files) {
  for (const trace of read(name).traces) {
    test(`${name}: ${trace.name}`, () => {
      let state = ladder(trace.config);
      for (const taken of trace.steps) {
        const result = step(state, taken.event, taken.now);
        state = result.state;
        assert.deepEqual(result.actions, taken.actions, JSON.stringify(taken));
        assert.equal(result.wake, taken.wake, JSON.stringify(taken));
        assert.deepEqual(state, { ...taken.state, config: trace.config }, JSON.stringify(taken));
      }
    });
  }
}

/** An event of random.json, spelled as a few words. */
function heard(text) {
  const [type, word, ...rest] = text.split(" ");
  const names = word ? word.split(",") : [];
  switch (type) {
    case "start":
    case "strategy_changed":
      return { type, allowed: names };
    case "sampled":
      return { type, rung: word, good: rest[0] === "true" };
    case "failed":
      return { type, rung: word, what: rest[0], evidence: "", spread: Number(rest.at(-1)) };
    case "closed":
      return { type, rung: word, evidence: "", spread: Number(rest.at(-1)) };
    default:
      return word ? { type, rung: word } : { type };
  }
}

function outline({ phase, tries }) {
  const words = {
    ready: () => `ready ${phase.due}`,
    dialing: () => `dialing ${phase.deadline}`,
    up: () => `${phase.tainted ? "tainted" : "up"} ${phase.bad}`,
    resting: () => `resting ${phase.due}`,
  };
  return `${words[phase.type]()} ${tries}`;
}

test("the random traces of the Python twin come out the same", () => {
  const traces = read("random.json");
  assert.equal(traces.length, 40);
  for (const { config, steps, end } of traces) {
    let state = ladder(config);
    for (const [now, event, ...expected] of steps) {
      const result = step(state, heard(event), now);
      state = result.state;
      const actions = result.actions.map(({ type, rung }) => `${type} ${rung ?? "none"}`);
      const shown = [state.active ?? "none", ...state.rungs.map(outline)].join(", ");
      assert.deepEqual([actions, result.wake, shown], expected, `at ${now}: ${event}`);
    }
    assert.deepEqual(state.rungs, end);
  }
});

/** Numbers from 0 to 1 that are the same in every run. */
function chances(seed) {
  let word = seed;
  return () => {
    word = (word + 0x6d2b79f5) | 0;
    let mixed = Math.imul(word ^ (word >>> 15), 1 | word);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function told(chance, state) {
  const pick = (list) => list[Math.floor(chance() * list.length)];
  const lively = state.rungs.filter(({ phase }) => phase.type === "up" || phase.type === "dialing");
  const rung = pick(lively.length > 0 && chance() < 0.9 ? lively : state.rungs).name;
  const draw = chance();
  if (draw < 0.3) return { type: "opened", rung };
  if (draw < 0.42) return { type: "failed", rung, what: "refused", evidence: "" };
  if (draw < 0.54) return { type: "closed", rung, evidence: "" };
  if (draw < 0.84) return { type: "sampled", rung, good: chance() < 0.4 };
  if (draw < 0.9) return { type: "called", rung };
  if (draw < 0.96) return { type: "network_changed" };
  return { type: "strategy_changed", allowed: state.rungs.map(({ name }) => name).filter(() => chance() < 0.7) };
}

/** What a driver believes, and its complaints. */
class Driver {
  dialing = new Set();
  up = new Set();
  using = null;
  late = new Set();

  hear({ type, rung }) {
    this.late.clear();
    if (type === "opened" && this.dialing.delete(rung)) this.up.add(rung);
    else if (type === "opened" && !this.up.has(rung)) this.late.add(rung);
    if (type === "failed" || type === "closed") this.drop(rung);
  }

  drop(rung) {
    return [this.dialing.delete(rung), this.up.delete(rung)].includes(true);
  }

  perform({ type, rung }) {
    if (type === "use") {
      assert.notEqual(rung, this.using, "said again what it had said");
      this.using = rung;
    } else if (type === "dial") {
      assert.ok(!this.dialing.has(rung) && !this.up.has(rung), "dialled twice");
      this.dialing.add(rung);
    } else {
      assert.ok(this.drop(rung) || this.late.has(rung), "nothing to hang up");
    }
  }
}

function check(driver, { state, actions, wake }, now) {
  const inPhase = (type) => new Set(state.rungs.filter(({ phase }) => phase.type === type).map(({ name }) => name));
  assert.deepEqual(inPhase("up"), driver.up);
  assert.deepEqual(inPhase("dialing"), driver.dialing);
  assert.equal(state.active, driver.using);
  assert.ok(state.active === null ? driver.up.size === 0 : driver.up.has(state.active), "the active rung is up or none");
  assert.ok(now < wake && wake <= now + 60_000, "the next wake-up is within a minute");
  assert.ok([...driver.up, ...driver.dialing].every((name) => state.allowed.includes(name)));
  assert.ok(state.config.keep || driver.up.size <= 1 + state.config.standbys, "no spare link");
  const kinds = actions.map(({ type }) => ["use", "hang_up", "dial"].indexOf(type));
  assert.deepEqual(kinds, kinds.toSorted());
}

for (const config of [NODE_LADDER, { ...DEFAULTS, rungs: RUNGS }, { ...DEFAULTS, rungs: RUNGS, standbys: 0 }]) {
  test(`invariants: ${config.rungs.length} rungs, ${config.standbys} warm`, () => {
    for (let seed = 0; seed < 25; seed += 1) {
      const chance = chances(seed);
      const driver = new Driver();
      let [state, now, event] = [ladder(config), 0, { type: "start", allowed: config.rungs.map(({ name }) => name) }];
      for (let turn = 0; turn < 120; turn += 1) {
        driver.hear(event);
        const result = step(Object.freeze(state), event, now);
        for (const action of result.actions) driver.perform(action);
        check(driver, result, now);
        state = result.state;
        if (chance() < 0.4) [now, event] = [result.wake + Math.floor(chance() * 4) * 7, { type: "tick" }];
        else [now, event] = [now + Math.floor(chance() * 9000), told(chance, state)];
      }
    }
  });
}

test("an event the ladder does not know is refused", () => {
  assert.throws(() => step(ladder(NODE_LADDER), { type: "sneezed" }, 0), TypeError);
});

test("the policy is the shared one", () => {
  const shared = read("policy.json");
  const node = NODE_LADDER.rungs;
  const strategies = Object.fromEntries(Object.keys(STRATEGIES).map((name) => [
    name, { allowed: allowed(name, RUNGS), to_node: allowedToNode(name, node) },
  ]));
  assert.deepEqual({ rungs: RUNGS, defaults: DEFAULTS, node: node.map(({ name }) => name), strategies }, shared);
  assert.throws(() => allowed("telepathy", RUNGS), RangeError);
  assert.deepEqual(allowed("auto", [{ name: "smoke-signals", priority: 10 }]), ["smoke-signals"]);
});

for (const { name, echoes, kept, quality, good } of read("quality.json")) {
  test(`quality: ${name}`, () => {
    const held = echoes.reduce(remember, []);
    assert.deepEqual(held, kept);
    const measured = measure(held);
    assert.deepEqual(measured, quality);
    assert.equal(measured && isGood(measured), good);
  });
}
