"""Networks by name; each begins with the normalisation of its input."""
