"""The settings of every method, and what a method answers before it is built. Nothing here imports torch."""
