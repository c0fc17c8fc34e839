// Line icons as inline SVG, decorative by themselves: the control that carries one has the words.

const SPACE = "http://www.w3.org/2000/svg";

/** @type {Readonly<Record<string, readonly string[]>>} */
const STROKES = {
  close: ["M6 6l12 12", "M18 6L6 18"],
  people: ["M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z", "M2.5 20c.6-3.6 3.200-5.500 6.500-5.500s5.900 1.900 6.500 5.500",
    "M16 4.500a3.500 3.500 0 0 1 0 6.300", "M18 14.800c1.900.8 3.100 2.500 3.500 5.200"],
  down: ["M12 5v14", "M6 13l6 6 6-6"],
  up: ["M12 19V5", "M6 11l6-6 6 6"],
  dice: ["M4 4h16v16H4z", "M8.500 8.500h.01", "M15.500 15.500h.01", "M15.500 8.500h.01", "M8.500 15.500h.01"],
  warn: ["M12 4L2.500 20h19z", "M12 10v4.500", "M12 17.500h.01"],
  open: ["M7 11V7.500a5 5 0 0 1 9.700-1.600", "M5 11h14v9.500H5z"],
  check: ["M5 12.500l4.500 4.500L19 7.500"],
  pencil: ["M4 20l1-4.500L16.500 4 20 7.500 8.500 19z"],
  send: ["M4 12l16-8-5.500 16-3.500-6.500z"],
};

/**
 * @param {string} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SPACE, "svg");
  const attributes = {
    viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": "2", "stroke-linecap": "round",
    "stroke-linejoin": "round", "aria-hidden": "true", class: "icon",
  };
  for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
  for (const stroke of STROKES[name] ?? []) {
    const path = document.createElementNS(SPACE, "path");
    path.setAttribute("d", stroke);
    svg.append(path);
  }
  return svg;
}
