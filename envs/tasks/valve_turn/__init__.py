"""ValveTurn: the named valve to the angle that is asked for."""
