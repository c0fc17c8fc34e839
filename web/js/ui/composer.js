// Where a message is written: Enter sends, Shift+Enter breaks, drafts stay. `#composer textarea`, `#send`,
// `#composer-problem`.

import { el, put, say } from "./dom.js";
import { icon } from "./icons.js";

/** How tall the field grows before it scrolls, in pixels. */
const TALLEST = 200;

/**
 * @typedef {object} ComposerActs
 * @property {string} room
 * @property {string} draft
 * @property {(text: string) => string | null} problem why a text cannot be sent
 * @property {(text: string) => void} send
 * @property {(text: string) => void} keepDraft
 */

/** @param {ComposerActs} acts */
export function composer(acts) {
  const field = el("textarea", {
    rows: 1, placeholder: `Message ${acts.room}`, "aria-label": `Message ${acts.room}`, enterkeyhint: "send",
    autocomplete: "off", "aria-describedby": "composer-problem",
  });
  const button = el("button", { id: "send", type: "submit", class: "primary", "aria-label": "Send" },
    el("span", { class: "wide" }, "Send"), el("span", { class: "slim" }, icon("send")));
  const trouble = el("p", { id: "composer-problem", class: "problem", role: "alert" });
  const node = el("form", { id: "composer" }, trouble, el("div", { class: "composer-box" }, field, button));
  const write = (/** @type {string} */ text) => {
    field.value = text;
    acts.keepDraft(text);
    settle(field, trouble, acts);
  };
  listen(field, node, () => submit(field, write, acts), () => write(field.value));
  field.value = acts.draft;
  return {
    node,
    settle: () => settle(field, trouble, acts),
    focus: () => field.focus(),
    fill: (/** @type {string} */ text) => {
      write(text);
      field.focus();
    },
  };
}

/**
 * Fits the field to its text and says what is wrong with it.
 * @param {HTMLTextAreaElement} field
 * @param {HTMLElement} trouble
 * @param {ComposerActs} acts
 */
function settle(field, trouble, { problem }) {
  say(trouble, problem(field.value) ?? "");
  field.style.height = "auto";
  put(field, "data-full", field.scrollHeight > TALLEST);
  field.style.height = `${Math.min(TALLEST, field.scrollHeight)}px`;
}

/**
 * @param {HTMLTextAreaElement} field
 * @param {(text: string) => void} write
 * @param {ComposerActs} acts
 */
function submit(field, write, { problem, send }) {
  const text = field.value.replaceAll("\0", "").trimEnd();
  if (text.trim() === "" || problem(text)) return;
  write("");
  send(text);
}

/**
 * @param {HTMLTextAreaElement} field
 * @param {HTMLFormElement} form
 * @param {() => void} send
 * @param {() => void} typed
 */
function listen(field, form, send, typed) {
  field.addEventListener("input", typed);
  field.addEventListener("keydown", (event) => {
    const composing = event.isComposing || event.keyCode === 229;
    if (event.key !== "Enter" || event.shiftKey || composing) return;
    event.preventDefault();
    send();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
    field.focus();
  });
}
