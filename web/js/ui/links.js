// Splits a text into plain stretches and web addresses; only http and https become links. Pure.

/** @typedef {{text: string, href: string | null}} Part */

const ADDRESS = /\bhttps?:\/\/[^\s<>"'`{}|\\^]+/gi;

/**
 * @param {string} text
 * @returns {Part[]}
 */
export function parts(text) {
  /** @type {Part[]} */
  const found = [];
  let from = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = trimmed(match[0]);
    const href = safe(address);
    if (!href) continue;
    if (match.index > from) found.push({ text: text.slice(from, match.index), href: null });
    found.push({ text: address, href });
    from = match.index + address.length;
  }
  if (from < text.length) found.push({ text: text.slice(from), href: null });
  return found;
}

/**
 * Without the punctuation that ends the sentence around an address; a closing bracket stays when it was opened inside.
 * @param {string} address
 */
function trimmed(address) {
  let kept = address;
  for (;;) {
    const last = kept.at(-1) ?? "";
    const unopened = last === ")" && kept.split(")").length > kept.split("(").length;
    if (!/[.,;:!?\]*_~…]/.test(last) && !unopened) return kept;
    kept = kept.slice(0, -1);
  }
}

/** @param {string} address */
function safe(address) {
  try {
    const url = new URL(address);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}
