"""FixtureLoad: set a workpiece into a machine's fixture, and start the machine."""
