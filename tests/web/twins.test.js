// Every call of the shared vectors comes to the same here as in the Python twins, byte for byte.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { canonical, MACHINES } from "./twins.js";

const folder = new URL("../vectors/", import.meta.url);

for (const of of ["coverage", "echo", "node_clock", "outbox", "timeline"]) {
  for (const file of ["cases.json", "random.json"]) {
    test(`${of}: ${file}`, () => {
      const traces = JSON.parse(readFileSync(new URL(`${of}/${file}`, folder), "utf8"));
      assert.ok(traces.length > 0);
      for (const { name, calls } of traces) {
        const machine = MACHINES[of]();
        for (const [call, args, out] of calls) {
          assert.equal(canonical(machine[call](...args)), canonical(out), `${name}: ${call} ${JSON.stringify(args)}`);
        }
      }
    });
  }
}
