"""Planners that are vision-language models (VLMs) of the package transformers."""
