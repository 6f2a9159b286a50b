"""Suites, statistics and reports."""
