"""The ladder: which rungs to dial, which link to use, and how good a link is. Pure."""
