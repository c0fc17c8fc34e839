"""The hub of sockets."""
