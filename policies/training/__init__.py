"""From datasets to run folders."""
