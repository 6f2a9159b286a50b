"""Embodiments: models built from published figures, and the actions each one offers."""
