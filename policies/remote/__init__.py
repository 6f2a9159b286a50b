"""Policies over a network, with openpi's protocol: a server, a client, and LeRobot.

See docs/remote.md.
"""
