-- One row per message; rowid order is commit order and serves the sweep (moved).
CREATE TABLE message (
  rowid   INTEGER PRIMARY KEY AUTOINCREMENT,
  room    TEXT    NOT NULL,
  seq     INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  sender  TEXT    NOT NULL,
  id      TEXT    NOT NULL,
  kind    TEXT    NOT NULL,
  digest  BLOB    NOT NULL,
  env     TEXT    NOT NULL,
  sig     TEXT,
  UNIQUE (room, seq),
  UNIQUE (room, sender, id)
) STRICT;

-- Receive time never decreases within a room, so this finds the first row of a second.
CREATE INDEX message_at ON message (room, at);

-- The reference form of history counts texts only.
CREATE INDEX message_text ON message (room, seq) WHERE kind = 'text';

-- A verified sender's public key, once.
CREATE TABLE sender (
  peer TEXT PRIMARY KEY,
  pk   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Which log first took a message from a client, and its contiguous number there; a message may have several.
CREATE TABLE origin (
  room   TEXT    NOT NULL,
  log_id TEXT    NOT NULL,
  oseq   INTEGER NOT NULL,
  seq    INTEGER NOT NULL,
  PRIMARY KEY (room, log_id, oseq)
) STRICT, WITHOUT ROWID;

-- What a room keeps beyond its rows: the highest seq that was forgotten.
CREATE TABLE floor (
  room TEXT PRIMARY KEY,
  seq  INTEGER NOT NULL,
  at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE log (
  log_id TEXT NOT NULL
) STRICT;
