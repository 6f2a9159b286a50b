"""Tasks: starts, success, progress and reward over a scene."""
