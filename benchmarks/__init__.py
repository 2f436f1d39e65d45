"""Benchmarks: how fast osakd trains, against an ordinary script, against itself, and against the machine's limits."""
