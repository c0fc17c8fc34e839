// The fields with which this page asks to be let into a room, signed where it has a key.

import { joinText } from "./wire/codec.js";

/**
 * A guest has no key: the last token of its session shows that a socket still open under it is its own.
 * @param {{identity: import("./identity.js").Identity, room: string, session: string, name: string,
 *          origin: string, token: string | null}} asked
 * @param {string} nonce
 * @returns {Promise<object>}
 */
export async function joinFields({ identity, room, session, name, origin, token }, nonce) {
  const { pk } = identity;
  if (!pk) return token ? { session, name, token } : { session, name };
  const sig = await identity.sign(joinText({ room, origin, nonce, pk, session }));
  return { session, name, pk, nonce, origin, sig };
}
