// Lint rules of the page: plain scripts, small files, pure decisions, no way to turn text into markup.
import js from "@eslint/js";

const names = (/** @type {string} */ list, kind = "readonly") =>
  Object.fromEntries(list.split(" ").map((name) => [name, kind]));

const browser = names(
  "window document location history navigator localStorage indexedDB IDBKeyRange BroadcastChannel crypto fetch WebSocket URL URLSearchParams " +
    "TextEncoder TextDecoder AbortController AbortSignal setTimeout clearTimeout setInterval clearInterval " +
    "performance queueMicrotask requestAnimationFrame matchMedia HTMLElement HTMLInputElement HTMLTextAreaElement " +
    "HTMLButtonElement HTMLScriptElement HTMLLinkElement HTMLDialogElement sessionStorage addEventListener Element Node Event CustomEvent Intl getComputedStyle btoa atob " +
    "ResizeObserver IntersectionObserver DOMException structuredClone console",
);

const noMarkup = [
  ["innerHTML", "outerHTML", "insertAdjacentHTML", "srcdoc"].map((property) => ({
    selector: `MemberExpression[property.name='${property}']`,
    message: "Text becomes text nodes only; nothing on this page is parsed as markup.",
  })),
].flat();

const impure = [
  "fetch", "WebSocket", "document", "window", "navigator", "localStorage", "indexedDB", "IDBKeyRange", "BroadcastChannel", "crypto", "performance",
  "setTimeout", "setInterval", "location", "Date",
].map((name) => ({ name, message: "This module decides; the clock, chance and the world are passed in." }));

export default [
  js.configs.recommended,
  {
    files: ["web/js/**/*.js"],
    languageOptions: { ecmaVersion: 2023, sourceType: "module", globals: browser },
    rules: {
      "max-lines": ["error", { max: 500 }],
      "max-lines-per-function": ["error", { max: 40, skipBlankLines: true, skipComments: true }],
      "no-console": "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-restricted-syntax": ["error", ...noMarkup],
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      eqeqeq: "error",
      "prefer-const": "error",
    },
  },
  {
    files: [
      "web/js/ladder/**/*.js", "web/js/hlc.js", "web/js/timeline.js", "web/js/wire/**/*.js", "web/js/outbox.js",
      "web/js/coverage.js", "web/js/roster.js", "web/js/book.js", "web/js/names.js", "web/js/explain.js",
      "web/js/node-clock.js", "web/js/receipts.js", "web/js/ui/standing.js",
    ],
    rules: { "no-restricted-globals": ["error", ...impure] },
  },
  {
    files: ["web/js/ui/**/*.js"],
    rules: {
      "no-restricted-imports": ["error", { patterns: ["**/rungs/*", "**/driver.js", "**/api.js", "**/identity.js"] }],
    },
  },
  {
    files: ["web/js/rungs/**/*.js", "web/js/wire/**/*.js", "web/js/ladder/**/*.js"],
    rules: { "no-restricted-imports": ["error", { patterns: ["**/ui/*"] }] },
  },
  {
    files: ["tests/web/**/*.js"],
    languageOptions: {
      ecmaVersion: 2023,
      sourceType: "module",
      globals: { ...browser, ...names("process Buffer Response Request setImmediate") },
    },
  },
];
