"""One file per kind of store, chosen by URL."""
