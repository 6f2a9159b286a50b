"""Training policies on datasets, which writes run folders."""
