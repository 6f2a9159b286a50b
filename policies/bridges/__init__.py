"""What is done about plans that are stale when they arrive (docs/dual_system.md)."""
