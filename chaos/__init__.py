"""Faults, injected for real: ``make chaos`` prints what became of them."""
