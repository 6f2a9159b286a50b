"""Things that stand in scenes.

Each module adds one prop to a spec, and has a class for what of it differs or changes
in N worlds.
"""
