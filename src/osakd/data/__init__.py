"""Images as arrays: where they come from, how they are decoded once, and in which order they are seen."""
