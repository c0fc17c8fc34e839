// Light, dark, or what the system says; a choice of this browser. `#theme`.

import { el } from "./dom.js";

const CHOICES = [["system", "System"], ["light", "Light"], ["dark", "Dark"]];

/** @param {string} theme */
export function showTheme(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset["theme"] = theme;
  else delete document.documentElement.dataset["theme"];
}

/**
 * @param {string} current
 * @param {(theme: string) => void} keep
 */
export function themePicker(current, keep) {
  const radios = CHOICES.map(([value, label]) => {
    const radio = el("input", { type: "radio", name: "theme", value: value ?? "", checked: value === current });
    radio.addEventListener("change", () => {
      showTheme(radio.value);
      keep(radio.value);
    });
    return el("label", {}, radio, el("span", {}, label ?? ""));
  });
  return el("fieldset", { id: "theme", class: "segments" }, el("legend", { class: "unseen" }, "Appearance"), ...radios);
}
