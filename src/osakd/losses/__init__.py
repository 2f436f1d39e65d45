"""Losses: one file each, the pure function first, then its thin module."""
