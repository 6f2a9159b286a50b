"""The index of a dataset file: its table of episodes, and where each row lies.

To visit the groups of 20,000 episodes takes minutes. So every file ends with its index
(`seal`); for others it is found once, and kept beside them (`opening`).
"""
