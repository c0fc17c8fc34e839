-- When the floor last rose, counted with the rowids of message, so that the sweep (moved) tells it.
ALTER TABLE floor ADD COLUMN mark INTEGER NOT NULL DEFAULT 0;

CREATE INDEX floor_mark ON floor (mark);
