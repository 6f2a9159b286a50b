"""Rooms and stations that several tasks share."""
