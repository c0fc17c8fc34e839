// The people of one room as frames and rosters tell of them, with a line in the timeline for who came and went.

import * as rosters from "./roster.js";

export class People {
  /**
   * @param {string} room
   * @param {import("./notes.js").Notes} notes
   * @param {() => string} self the id of this page's peer, whose coming and going is no news to itself
   */
  constructor(room, notes, self) {
    this.room = room;
    this.notes = notes;
    this.self = self;
    this.roster = rosters.empty;
    this.known = false;
  }

  /** A whole roster; the first one is no news. @param {import("./roster.js").RosterRow[]} rows */
  replace(rows) {
    const next = rosters.rosterOf(rows);
    if (this.known) this.tell(rosters.difference(this.roster, next));
    this.roster = next;
    this.known = true;
  }

  /** @param {import("./roster.js").PresenceFrame & {room?: string}} frame */
  change(frame) {
    if (frame.room !== undefined && frame.room !== this.room) return;
    const { roster, news } = rosters.applied(this.roster, frame);
    this.roster = roster;
    this.tell(news);
  }

  /** @param {import("./roster.js").News[]} news */
  tell(news) {
    for (const item of news) if (item.person.peerId !== this.self()) this.notes.person(item);
  }
}
