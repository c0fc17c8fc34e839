"""Hints, signals and presence between processes, over Redis."""
