"""Patrol: drive to the stations that are named, look at each, and keep clear of people."""
