// Asks for another name. `#name-dialog`, `#name` inside it, `#name-problem`.

import { cleanName, nameProblem } from "../names.js";
import { el, say } from "./dom.js";
import { modal } from "./modal.js";

/**
 * @param {(name: string) => string | null} take takes the name, or says why it cannot be used
 */
export function nameDialog(take) {
  const field = el("input", {
    id: "name", type: "text", maxlength: "64", autocomplete: "nickname", required: true, "aria-describedby": "name-problem",
  });
  const problem = el("p", { id: "name-problem", class: "problem", role: "alert" });
  const form = el("form", { class: "stack" },
    el("label", { for: "name" }, "The name others see"), field, problem,
    el("button", { type: "submit", class: "primary" }, "Save"));
  const { dialog, open, close } = modal({ id: "name-dialog", title: "Your name" }, form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = cleanName(field.value);
    const why = nameProblem(name) ?? take(name);
    say(problem, why ?? "");
    if (why) field.focus();
    else close();
  });
  /**
   * @param {string} name
   * @param {string} [reason]
   */
  const ask = (name, reason = "") => {
    field.value = name;
    say(problem, reason);
    open();
    field.select();
  };
  return { dialog, ask };
}
