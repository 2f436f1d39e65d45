"""From a trained network to a device: exported files and their proof, latency, model cards, the hub.

A leaf: nothing of the trunk imports it. ``deploy.api`` is its door.
"""
