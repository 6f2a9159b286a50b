"""Robots that a user describes: an MJCF file and a TOML file that names its parts."""
