"""Contracts of all tasks, as checks that can be run on any task.

`embodied check-task` runs them on one task; tests/test_contract.py runs them on all
registered tasks.
"""
