// Text forms of bytes on the wire: base64url, base32 and hex, all unpadded and lower case where case exists.

const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";
const BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/**
 * Groups bits into digits of `width` bits, most significant first; the last digit is filled with zero bits.
 * @param {Uint8Array} bytes
 * @param {number} width
 * @param {string} alphabet
 */
function digits(bytes, width, alphabet) {
  let text = "";
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= width) {
      bits -= width;
      text += alphabet.charAt((held >> bits) & ((1 << width) - 1));
    }
    held &= (1 << bits) - 1;
  }
  return bits ? text + alphabet.charAt((held << (width - bits)) & ((1 << width) - 1)) : text;
}

/** @param {Uint8Array} bytes */
export const toBase32 = (bytes) => digits(bytes, 5, BASE32);

/** @param {Uint8Array} bytes */
export const toBase64url = (bytes) => digits(bytes, 6, BASE64URL);

/** @param {Uint8Array} bytes */
export const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/**
 * The bytes behind unpadded base64url, or null when the text is not that.
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer> | null}
 */
export function fromBase64url(text) {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return null;
  const bytes = new Uint8Array(Math.floor((text.length * 6) / 8));
  let held = 0;
  let bits = 0;
  let at = 0;
  for (const letter of text) {
    held = (held << 6) | BASE64URL.indexOf(letter);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at] = (held >> bits) & 255;
    at += 1;
    held &= (1 << bits) - 1;
  }
  return held === 0 ? bytes : null;
}

/** @param {string} text */
export const utf8 = (text) => new TextEncoder().encode(text);

/** @param {string} text */
export const utf8Length = (text) => utf8(text).length;
