// The page's files: every module is announced in index.html, nothing is inline, nothing comes from elsewhere, and the
// layers of the script hold.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const WEB = fileURLToPath(new URL("../../web/", import.meta.url));
const read = (/** @type {string} */ path) => readFileSync(WEB + path, "utf8");
const files = readdirSync(WEB, { recursive: true }).map(String).filter((path) => /\.\w+$/.test(path));
const html = read("index.html");

/** The modules that this one imports, also those only named in comments left out. @param {string} path */
function imports(path) {
  const found = read(path).matchAll(/^(?:import|export)[^"']*?from "(\.[^"]+)";|^} from "(\.[^"]+)";/gm);
  return [...found].map(([, one, other]) => new URL(one ?? other ?? "", `file:///${path}`).pathname.slice(1));
}

function graph() {
  const seen = new Set(["js/main.js"]);
  for (const path of seen) for (const next of imports(path)) seen.add(next);
  return seen;
}

test("every module of the page is asked for at once, and no file lies unused", () => {
  const announced = [...html.matchAll(/rel="modulepreload" href="\/static\/([^"]+)"/g)].map(([, path]) => path);
  const modules = [...graph()].filter((path) => path !== "js/main.js").sort();
  assert.deepEqual([...announced].sort(), modules);
  const used = new Set([...html.matchAll(/\/static\/([^"]+)"/g)].map(([, path]) => path));
  assert.deepEqual(files.filter((path) => path !== "index.html" && !used.has(path)), []);
});

test("nothing is inline and nothing comes from elsewhere", () => {
  assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/i);
  const foreign = /https?:\/\/(?!www\.w3\.org\/)[\w.-]+\.\w+/;
  for (const path of files) assert.doesNotMatch(read(path), foreign, path);
  for (const path of files.filter((name) => name.endsWith(".css"))) assert.doesNotMatch(read(path), /url\(|@import/, path);
});

test("text never becomes markup", () => {
  for (const path of files.filter((name) => name.endsWith(".js"))) {
    assert.doesNotMatch(read(path), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|new Function|\beval\(/, path);
  }
});

test("the screen knows no rung, rungs know no screen, and decisions import no effects", () => {
  const effects = /js\/(api|driver|room|log|history|receipting|sender|own-messages|keeper|streams|identity|key-store|outbox-store|unsent|idb|profile|main)\.js$/;
  for (const path of files.filter((name) => name.endsWith(".js"))) {
    const wanted = imports(path);
    if (path.startsWith("js/ui/")) {
      assert.deepEqual(wanted.filter((name) => effects.test(name) || name.startsWith("js/rungs/")), [], path);
    } else if (path !== "js/main.js") {
      assert.deepEqual(wanted.filter((name) => name.startsWith("js/ui/")), [], path);
    }
    if (/^js\/(ladder|wire)\//.test(path)) assert.deepEqual(wanted.filter((name) => effects.test(name)), [], path);
  }
});

test("files stay small", () => {
  for (const path of files.filter((name) => /\.(js|css)$/.test(name))) {
    assert.ok(read(path).split("\n").length <= 500, path);
  }
});
