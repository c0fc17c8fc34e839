// Replays what `egoat lab run ... --trace FILE` wrote: the same calls here must give the same lines, byte for byte.
// Not a test by itself: tests/unit/lab/test_replay.py runs it over fresh seeds. Usage: node tests/web/replay.js FILE

import { readFileSync } from "node:fs";

import { canonical, MACHINES } from "./twins.js";

/** The number of calls; throws at the first line that is another here. */
export function replay(text) {
  let run = "";
  let machines = new Map();
  let count = 0;
  for (const line of text.trimEnd().split("\n")) {
    const told = JSON.parse(line);
    if (told.run !== undefined) {
      run = told.run;
      machines = new Map();
      continue;
    }
    const { of, key, call, args } = told;
    const place = `${of} ${key}`;
    if (!machines.has(place)) machines.set(place, MACHINES[of]());
    const here = canonical({ of, key, call, args, out: machines.get(place)[call](...args) });
    if (here !== line) throw new Error(`${run}: line ${count + 1}\n  python ${line}\n  here   ${here}`);
    count += 1;
  }
  return count;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  process.stdout.write(`${replay(readFileSync(process.argv[2] ?? "", "utf8"))} calls replayed\n`);
}
