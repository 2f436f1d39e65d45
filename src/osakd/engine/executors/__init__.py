"""Executors run the training steps of methods: ``registry`` names them, ``policy`` says who runs what."""
