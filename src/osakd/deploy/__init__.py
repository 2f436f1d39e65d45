"""From a trained network to a device: exported files and their proof, latency, predictions, model cards, the hub."""
