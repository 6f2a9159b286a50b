"""Colours that several props share, as RGBA in [0, 1]."""

FRAME_BLUE = (0.20, 0.28, 0.36, 1.0)
SAFETY_YELLOW = (0.93, 0.70, 0.13, 1.0)
STEEL = (0.42, 0.45, 0.48, 1.0)
PLATE_WHITE = (0.96, 0.96, 0.94, 1.0)
INVISIBLE = (0.0, 0.0, 0.0, 0.0)
