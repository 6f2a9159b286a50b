"""Planner and controller on the wall clock, each in a process of its own."""
