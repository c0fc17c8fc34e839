// Who is in the room: people by peer, each with its sessions, so that a person shows once and leaves once.

/**
 * @typedef {{readonly peerId: string, readonly name: string, readonly verified: boolean,
 *            readonly sessions: readonly string[]}} Person
 * @typedef {ReadonlyMap<string, Person>} Roster
 * @typedef {{readonly what: "joined" | "left" | "renamed", readonly person: Person, readonly before: string}} News
 * @typedef {{peer_id: string, name: string, verified: boolean, sessions: readonly string[]}} RosterRow
 * @typedef {{type: string, peer_id: string, session: string, name: string, verified: boolean}} PresenceFrame
 */

/** @type {Roster} */
export const empty = new Map();

/**
 * @param {readonly RosterRow[]} rows
 * @returns {Roster}
 */
export function rosterOf(rows) {
  return new Map(rows.map((row) => [
    row.peer_id,
    { peerId: row.peer_id, name: row.name, verified: row.verified, sessions: [...row.sessions] },
  ]));
}

/**
 * What a fresh roster tells that the held one did not.
 * @param {Roster} before
 * @param {Roster} after
 * @returns {News[]}
 */
export function difference(before, after) {
  /** @type {News[]} */
  const news = [];
  for (const person of before.values()) {
    if (!after.has(person.peerId)) news.push({ what: "left", person, before: person.name });
  }
  for (const person of after.values()) {
    const known = before.get(person.peerId);
    if (!known) news.push({ what: "joined", person, before: person.name });
    else if (known.name !== person.name) news.push({ what: "renamed", person, before: known.name });
  }
  return news;
}

/**
 * The roster after one presence frame, and what is worth telling.
 * @param {Roster} roster
 * @param {PresenceFrame} frame `peer_joined`, `peer_left` or `peer_named`
 * @returns {{roster: Roster, news: News[]}}
 */
export function applied(roster, frame) {
  const next = new Map(roster);
  const known = roster.get(frame.peer_id);
  const sessions = known ? known.sessions.filter((session) => session !== frame.session) : [];
  if (frame.type === "peer_left") {
    if (known && sessions.length > 0) next.set(frame.peer_id, { ...known, sessions });
    else next.delete(frame.peer_id);
  } else if (frame.type === "peer_joined" || known) {
    const kept = frame.type === "peer_joined" ? [...sessions, frame.session] : known?.sessions ?? [];
    next.set(frame.peer_id, {
      peerId: frame.peer_id, name: frame.name, verified: frame.verified, sessions: kept,
    });
  }
  return { roster: next, news: difference(roster, next) };
}
