"""Planners, controllers, the dual system that joins them, and training."""
