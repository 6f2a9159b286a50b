"""What serves the pages in docs/: the measured ground, its pictures and its tables."""
