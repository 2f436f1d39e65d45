"""What to run: comparisons, and the pool of processes that runs them."""
