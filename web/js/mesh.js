// Which sessions are worth a direct path: all of them in a small room, in a large one those that talk. Pure.

/** More direct links than this cost a page more than they bring (docs/decisions/011-mesh-ceiling.md). */
export const CEILING = 12;

/**
 * At most CEILING of `others`: whose peer spoke last comes first, then the one who has been here longest.
 * @template {{peerId: string}} Other
 * @param {readonly Other[]} others
 * @param {ReadonlyMap<string, number>} spoke when each peer last spoke
 * @param {number} [most]
 * @returns {Other[]}
 */
export function worth(others, spoke, most = CEILING) {
  if (others.length <= most) return [...others];
  const last = (/** @type {Other} */ { peerId }) => spoke.get(peerId) ?? -Infinity;
  return others
    .map((other, place) => ({ other, place }))
    .sort((one, two) => last(two.other) - last(one.other) || one.place - two.place)
    .slice(0, most)
    .map(({ other }) => other);
}
