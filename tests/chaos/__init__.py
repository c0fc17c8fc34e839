"""Tests that break things at random, from a printed seed, and look for what was promised."""
