"""Props: the objects of scenes.

Each module has a function that adds a prop to a spec, and a class that reads and
changes the prop in N worlds.
"""
