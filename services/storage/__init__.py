"""The only service that opens a database."""
