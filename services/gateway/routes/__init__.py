"""One file per group of public routes."""
