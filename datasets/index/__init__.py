"""The index of a dataset: its table of episodes, and the position of each row.

Walking the HDF5 groups of 20,000 episodes takes minutes. So every file that this package
writes ends with its index (`seal`). The index of any other file is built once, and kept
beside it (`opening`).
"""
