"""Worlds as batches: engines that step them, and cameras that look at them."""
