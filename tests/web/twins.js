// Calls the pure modules by name, so that one list of calls drives both languages. Twin of tests/support/twins.py.

import * as coverage from "../../web/js/coverage.js";
import * as echo from "../../web/js/echo.js";
import { ladder } from "../../web/js/ladder/state.js";
import { step } from "../../web/js/ladder/step.js";
import * as clock from "../../web/js/node-clock.js";
import * as outbox from "../../web/js/outbox.js";
import * as timelines from "../../web/js/timeline.js";

/** A state that every call of `module` named here takes first and answers anew. */
function keeping(module, names, state) {
  const calls = Object.fromEntries(names.map((name) => [name, (...args) => (state = module[name](state, ...args))]));
  return { calls, get: () => state, set: (value) => (state = value) };
}

function outboxMachine() {
  const { calls, get, set } = keeping(outbox, ["put", "without", "postpone"], outbox.empty);
  return {
    ...calls,
    take(link, now, window) {
      const { box, batch } = outbox.take(get(), link, now, window);
      return { batch: batch.map(({ id }) => id), box: set(box) };
    },
    nextTry: (link) => outbox.nextTry(get(), link),
  };
}

function echoMachine() {
  const { calls, get, set } = keeping(echo, ["heard", "answered"], echo.fresh(0));
  return {
    ...calls,
    fresh: (now) => set(echo.fresh(now)),
    hurry: () => set({ ...get(), askedAt: -Infinity }),
    beat(every, now) {
      const beaten = echo.beat(get(), every, now);
      set(beaten.echo);
      return beaten;
    },
    qualityOf: () => echo.qualityOf(get()),
  };
}

function coverageMachine() {
  const { calls, get } = keeping(coverage, ["cover"], []);
  const asked = ["firstGap", "resumeAfter", "readFrom"].map((name) => [name, () => coverage[name](get())]);
  return { ...calls, ...Object.fromEntries(asked) };
}

function clockMachine() {
  const { calls, get, set } = keeping(clock, ["notBefore", "learn"], clock.guess(0, 0));
  const put = (offset, slack, learnt) => set({ offset, slack, learnt });
  return { ...calls, set: put, guess: (...args) => set(clock.guess(...args)), nodeTime: (now) => clock.nodeTime(get(), now) };
}

function timelineMachine() {
  let room = timelines.timeline();
  const told = (result) => ({ result: result ?? null, read: room.read, unread: room.unread, spans: room.spans });
  const changing = ["queue", "direct", "handed", "logged", "acked", "failed", "discard", "follow", "reset", "markRead"];
  return {
    ...Object.fromEntries(changing.map((name) => [name, (...args) => told(timelines[name](room, ...args))])),
    timeline(earlier) {
      room = timelines.timeline(earlier);
      return told(null);
    },
    firstUnread: () => timelines.firstUnread(room),
    olderThan: () => timelines.olderThan(room),
    lines: () => room.lines,
  };
}

function ladderMachine() {
  let state;
  return {
    ladder(config) {
      state = ladder(config);
      return null;
    },
    step(event, now) {
      const stepped = step(state, event, now);
      state = stepped.state;
      const { allowed, rungs, active } = state;
      return { actions: stepped.actions, wake: stepped.wake, state: { allowed, rungs, active } };
    },
  };
}

export const MACHINES = {
  coverage: coverageMachine,
  echo: echoMachine,
  ladder: ladderMachine,
  node_clock: clockMachine,
  outbox: outboxMachine,
  timeline: timelineMachine,
};

/** JSON as both languages write it: sorted keys, no spaces; infinity becomes null. */
export function canonical(value) {
  return JSON.stringify(value, (_name, held) =>
    held && typeof held === "object" && !Array.isArray(held)
      ? Object.fromEntries(Object.keys(held).sort().map((name) => [name, held[name]]))
      : held);
}
