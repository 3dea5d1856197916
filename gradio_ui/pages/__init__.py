"""One page per kind of work, each its own Blocks."""
