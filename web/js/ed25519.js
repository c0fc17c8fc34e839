// Ed25519 (RFC 8032) in plain arithmetic, for browsers whose WebCrypto lacks it. It does not run in constant time: it
// is used only with a key that lives as long as its tab. SHA-512 comes from the browser.

const P = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = mod(-121665n * inverse(121666n));
const ROOT = power(2n, (P - 1n) / 4n);

/** @typedef {readonly [bigint, bigint, bigint, bigint]} Point extended coordinates X, Y, Z, T */
/** @typedef {(bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>} Hash SHA-512 */

/** @type {Point} */
const NEUTRAL = [0n, 1n, 1n, 0n];
const BASE = /** @type {Point} */ (decode(fromNumber(mod(4n * inverse(5n)))));

/** @param {bigint} number */
function mod(number) {
  const rest = number % P;
  return rest < 0n ? rest + P : rest;
}

/**
 * @param {bigint} number
 * @param {bigint} exponent
 */
function power(number, exponent) {
  let result = 1n;
  let square = mod(number);
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

/** @param {bigint} number */
function inverse(number) {
  return power(number, P - 2n);
}

/** @param {Uint8Array} bytes little-endian */
function toNumber(bytes) {
  let number = 0n;
  for (let at = bytes.length - 1; at >= 0; at -= 1) number = (number << 8n) | BigInt(bytes[at] ?? 0);
  return number;
}

/** @param {bigint} number below 2^256 */
function fromNumber(number) {
  const bytes = new Uint8Array(32);
  for (let at = 0; at < 32; at += 1) bytes[at] = Number((number >> BigInt(8 * at)) & 255n);
  return bytes;
}

/**
 * The sum by the complete formula for this curve (RFC 8032, section 5.1.4); also doubles.
 * @param {Point} one
 * @param {Point} other
 * @returns {Point}
 */
function add([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = mod((y1 - x1) * (y2 - x2));
  const b = mod((y1 + x1) * (y2 + x2));
  const c = mod(2n * t1 * t2 * D);
  const d = mod(2n * z1 * z2);
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)];
}

/**
 * @param {Point} point
 * @param {bigint} times
 */
function multiply(point, times) {
  let result = NEUTRAL;
  let doubled = point;
  for (let left = times; left > 0n; left >>= 1n) {
    if (left & 1n) result = add(result, doubled);
    doubled = add(doubled, doubled);
  }
  return result;
}

/** @param {Point} point */
function encode([x, y, z]) {
  const scale = inverse(z);
  const bytes = fromNumber(mod(y * scale));
  bytes[31] = (bytes[31] ?? 0) | (mod(x * scale) & 1n ? 0x80 : 0);
  return bytes;
}

/**
 * The point these bytes stand for, or null (RFC 8032, section 5.1.3).
 * @param {Uint8Array} bytes
 * @returns {Point | null}
 */
function decode(bytes) {
  const whole = toNumber(bytes);
  const sign = whole >> 255n;
  const y = whole & (2n ** 255n - 1n);
  if (bytes.length !== 32 || y >= P) return null;
  const u = mod(y * y - 1n);
  const v = mod(D * y * y + 1n);
  let x = mod(u * v ** 3n * power(u * v ** 7n, (P - 5n) / 8n));
  if (mod(v * x * x) === mod(-u)) x = mod(x * ROOT);
  if (mod(v * x * x) !== u || (x === 0n && sign === 1n)) return null;
  if ((x & 1n) !== sign) x = mod(-x);
  return [x, y, 1n, mod(x * y)];
}

/** @param {...Uint8Array} parts */
function joined(...parts) {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * @param {Hash} hash
 * @param {Uint8Array<ArrayBuffer>} seed
 */
async function expand(hash, seed) {
  const wide = await hash(seed);
  const scalar = wide.slice(0, 32);
  scalar[0] = (scalar[0] ?? 0) & 248;
  scalar[31] = ((scalar[31] ?? 0) & 127) | 64;
  return { scalar: toNumber(scalar), prefix: wide.slice(32) };
}

/**
 * @param {Hash} hash
 * @param {Uint8Array<ArrayBuffer>} seed 32 random bytes: the secret key
 */
export async function publicKey(hash, seed) {
  return encode(multiply(BASE, (await expand(hash, seed)).scalar));
}

/**
 * @param {Hash} hash
 * @param {Uint8Array<ArrayBuffer>} seed
 * @param {Uint8Array} message
 */
export async function sign(hash, seed, message) {
  const { scalar, prefix } = await expand(hash, seed);
  const own = encode(multiply(BASE, scalar));
  const once = toNumber(await hash(joined(prefix, message))) % ORDER;
  const point = encode(multiply(BASE, once));
  const challenge = toNumber(await hash(joined(point, own, message))) % ORDER;
  return joined(point, fromNumber((once + challenge * scalar) % ORDER));
}

/**
 * @param {Hash} hash
 * @param {Uint8Array} key
 * @param {Uint8Array} signature
 * @param {Uint8Array} message
 */
export async function verify(hash, key, signature, message) {
  const author = decode(key);
  const response = toNumber(signature.slice(32));
  if (!author || signature.length !== 64 || response >= ORDER) return false;
  const point = signature.slice(0, 32);
  const challenge = toNumber(await hash(joined(point, key, message))) % ORDER;
  const [x, y, z, t] = author;
  const expected = encode(add(multiply(BASE, response), multiply([mod(-x), y, z, mod(-t)], challenge)));
  return expected.every((byte, at) => byte === point[at]);
}
