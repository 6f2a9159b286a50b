"""Policies over a network: openpi's wire, a server, a client, and peers that speak it.

docs/remote.md is its page.
"""
