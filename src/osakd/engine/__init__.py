"""Training: configuration, optimisation, exact resume, evaluation, and the executors."""
