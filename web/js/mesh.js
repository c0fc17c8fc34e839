// Which sessions are worth a direct path: all of them in a small room, in a large one those that talk. Pure.

/** More direct links than this cost a page more than they bring (docs/decisions/011-mesh-ceiling.md). */
export const CEILING = 12;

/** Links that others asked for are taken beyond the ceiling, up to this many in all. */
export const MOST = 2 * CEILING;

/** Who talks takes the place of one that has been silent for so much longer, so that places do not change with every word. */
const STAYS_MS = 60_000;

/**
 * At most CEILING of `others`: whose peer spoke last comes first, then the one who has been here longest.
 * @template {{peerId: string}} Other
 * @param {readonly Other[]} others
 * @param {ReadonlyMap<string, number>} spoke when each peer last spoke
 * @param {(other: Other) => boolean} held whether there is a link, or a dial, already
 * @param {number} [most]
 * @returns {Other[]}
 */
export function worth(others, spoke, held, most = CEILING) {
  if (others.length <= most) return [...others];
  const last = (/** @type {Other} */ other) => (spoke.get(other.peerId) ?? -STAYS_MS) + (held(other) ? STAYS_MS : 0);
  return others
    .map((other, place) => ({ other, place }))
    .sort((one, two) => last(two.other) - last(one.other) || one.place - two.place)
    .slice(0, most)
    .map(({ other }) => other);
}
