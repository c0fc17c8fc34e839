"""The hub: every client's socket; signals, presence, live messages."""
