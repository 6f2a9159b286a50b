"""Demonstrations by hand: devices, what their commands do, and the takes they make."""
