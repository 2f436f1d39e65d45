"""Training methods: each maps a batch to its loss, and holds every network that it needs."""
