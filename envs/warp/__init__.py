"""Worlds on the engine `warp`: thousands on a GPU, with torch tensors as arrays."""
