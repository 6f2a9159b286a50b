"""The one loop that runs a policy in a batch of worlds, and its hooks."""
