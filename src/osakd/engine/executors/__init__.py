"""Executors run the training steps of methods: ``registry`` names them, and says who runs what."""
