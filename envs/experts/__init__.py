"""Privileged planners, one a task: they name the next skill and its goal."""
