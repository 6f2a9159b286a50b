"""Datasets of other tools, read into files of ours."""
