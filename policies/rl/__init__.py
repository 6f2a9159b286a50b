"""Policies from reinforcement learning."""
