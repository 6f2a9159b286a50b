"""Things that stand in scenes: each adds itself to a spec and owns what its size
changes.
"""
