"""Worlds on a GPU, simulated by `mujoco_warp`: the engine, its cameras, its device."""
