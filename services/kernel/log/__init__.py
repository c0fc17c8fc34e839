"""The one reader of a room's log, and the client of the storage service."""
