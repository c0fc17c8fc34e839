"""The owner of the log."""
