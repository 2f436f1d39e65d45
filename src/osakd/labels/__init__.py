"""Soft labels from nearest neighbours: the search, the posterior (eq. 4), the memory, and the ceiling."""
