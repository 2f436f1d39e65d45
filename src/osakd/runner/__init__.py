"""Many runs: what to run, where, one runner at a time, and how far they are."""
