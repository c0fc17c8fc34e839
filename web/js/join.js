// The fields with which this page asks to be let into a room, signed where it has a key.

import { joinText } from "./wire/codec.js";

/**
 * @param {{identity: import("./identity.js").Identity, room: string, session: string, name: string,
 *          origin: string}} asked
 * @param {string} nonce
 * @returns {Promise<object>}
 */
export async function joinFields({ identity, room, session, name, origin }, nonce) {
  const { pk } = identity;
  if (!pk) return { session, name };
  const sig = await identity.sign(joinText({ room, origin, nonce, pk, session }));
  return { session, name, pk, nonce, origin, sig };
}
