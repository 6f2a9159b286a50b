"""`embodied robot`: verbs for robots of a user's own."""

HELP = """Bring a robot of your own: write its description by looking at its model, and see what was understood of it
(docs/your_robot.md)."""
EXAMPLE = """embodied robot new arm.xml -o arm.toml
  embodied robot check arm.toml"""
VERBS = {
    "new": "write the description of a model, MJCF or URDF, by looking at it",
    "check": "say what was understood of a description, and which tasks fit",
}
