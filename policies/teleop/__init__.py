"""Demonstrations by hand: devices, the actions of their commands, and takes."""
