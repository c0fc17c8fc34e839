// What this page reads out of session descriptions and candidates, and what a peer's key signs of them. Pure.

/**
 * How often each kind of ICE candidate was seen (RFC 8445): host, srflx (behind a NAT, seen by STUN), prflx, relay.
 * @typedef {Record<string, number>} CandidateCount
 */

/**
 * The certificate fingerprints of a description, each once, in one order (RFC 8122).
 * @param {string} sdp
 */
export function fingerprints(sdp) {
  const found = [...sdp.matchAll(/^a=fingerprint:(\S+) ([0-9A-Fa-f:]+)\s*$/gm)];
  return [...new Set(found.map(([, hash, print]) => `${hash?.toLowerCase()} ${print?.toUpperCase()}`))].sort();
}

/**
 * Whether every browser reads the same fingerprints out of a description: it is plain lines of printable ASCII, and no
 * fingerprint stands in it in another form than the one that `fingerprints` finds.
 * @param {string} sdp
 */
export function isPlain(sdp) {
  if (!/^(?:[\x20-\x7e]*\r?\n)*[\x20-\x7e]*$/.test(sdp)) return false;
  const named = sdp.match(/fingerprint/gi) ?? [];
  const strict = sdp.match(/^a=fingerprint:[A-Za-z0-9-]+ [0-9A-Fa-f:]+\r?$/gm) ?? [];
  return named.length === strict.length;
}

/**
 * What the signature beside a description covers: who calls whom, in which attempt, with which certificate, so that it
 * can be used for nothing else (RFC 8827, section 6.5).
 * @param {{room: string, rung: string, attempt: string, kind: "offer" | "answer", from: string, to: string, sdp: string}} said
 */
export const callText = ({ room, rung, attempt, kind, from, to, sdp }) =>
  ["egoat.rtc.1", room, rung, attempt, kind, from, to, ...fingerprints(sdp)].join("\n");

/**
 * The kind of a candidate, empty for a line that is none.
 * @param {string} candidate
 */
export const candidateKind = (candidate) => / typ (host|srflx|prflx|relay)\b/.exec(candidate)?.[1] ?? "";

/**
 * Counts the candidates that stand in a description.
 * @param {string} sdp
 * @returns {CandidateCount}
 */
export function countCandidates(sdp) {
  return [...sdp.matchAll(/^a=(candidate:.*)$/gm)].reduce((count, [, line]) => counted(count, line ?? ""), {});
}

/**
 * @param {CandidateCount} count
 * @param {string} candidate
 * @returns {CandidateCount}
 */
export function counted(count, candidate) {
  const kind = candidateKind(candidate);
  return kind ? { ...count, [kind]: (count[kind] ?? 0) + 1 } : count;
}

/**
 * How the NAT in front of this device behaves, told by what several STUN servers saw of one socket (RFC 4787, section
 * 4.1): the same address and port from all of them lets others in, one per server does not. Null while that is not known.
 * Two sockets, of two networks or before and after an ICE restart, have two ports behind any NAT: they are told apart by
 * what a candidate says of its base.
 * @param {readonly string[]} candidates those gathered here
 * @returns {"none" | "cone" | "symmetric" | null}
 */
export function natKind(candidates) {
  const seen = candidates.filter((line) => candidateKind(line) === "srflx" && / udp /i.test(line));
  const places = new Set(seen.map((line) => `${baseOf(line)} ${line.split(" ").slice(4, 6).join(" ")}`));
  const sockets = new Set(seen.map((line) => `${baseOf(line)} ${line.split(" ")[4]}`));
  if (places.size === 0) return null;
  return places.size > sockets.size ? "symmetric" : "cone";
}

/** What two candidates of one socket have in common (RFC 8445, sections 5.1.1.3 and 5.4). @param {string} line */
const baseOf = (line) => ["raddr", "rport", "ufrag", "network-id"].map((word) => after(line, word)).join(" ");

/** @param {string} line @param {string} word */
const after = (line, word) => new RegExp(` ${word} (\\S+)`).exec(line)?.[1] ?? "";
