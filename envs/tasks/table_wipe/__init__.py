"""TableWipe: the named stains off a table."""
