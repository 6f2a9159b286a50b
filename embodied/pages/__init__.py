"""Writes the pages of docs/ that come from measurements or from the code."""
