"""Heads: cameras that look over the robot's shoulder."""

from __future__ import annotations

from dataclasses import dataclass

from embodied.robots.parts.part import Part


@dataclass(frozen=True, kw_only=True)
class Head(Part):
    """A head that does not move, with its cameras."""

    name: str = "head"
    on: str = "torso"
