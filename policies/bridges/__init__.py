"""Bridges, which handle plans that are stale when they arrive (docs/dual_system.md)."""
