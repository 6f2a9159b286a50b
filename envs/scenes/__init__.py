"""Layouts of props: places of work."""
