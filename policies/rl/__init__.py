"""Reinforcement learning, and the policies that it gives."""
