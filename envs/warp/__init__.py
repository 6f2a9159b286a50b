"""The engine `warp`: thousands of worlds on a GPU, whose arrays are torch tensors."""
