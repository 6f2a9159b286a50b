"""Evaluation cell by cell, its statistics and report, and how fast machines are."""
