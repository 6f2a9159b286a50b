"""Where policies meet in a comparison: what was measured, whatever the policy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from embodied.benchmark.results import Cell, Condition, ResultsError


@dataclass(frozen=True)
class Spot:
    """What cells of several policies must share to stand in one row.

    A policy that makes no plans stands beside those whose plans come without delay.
    """

    task: str
    robot: str
    level: str
    split: str
    stage: str
    timing: str  # "" for plans that all arrive at once, and are used as they are

    @classmethod
    def of(cls, condition: Condition) -> Spot:
        return cls(
            condition.task,
            condition.robot,
            condition.level,
            condition.split,
            condition.stage,
            _timing_words(condition),
        )

    @property
    def without_timing(self) -> Spot:
        """The same spot, for plans that all arrive at once."""
        return replace(self, timing="")

    @property
    def words(self) -> str:
        """E.g. "ToteTransfer arm L3, held out: objects, plans 100 ms late"."""
        parts = [" ".join(filter(None, (self.task, self.robot, self.level)))]
        if self.split != "train":
            parts.append(f"held out: {self.split}")
        if self.stage:
            parts.append(f"stage {self.stage}")
        if self.timing:
            parts.append(self.timing)
        return ", ".join(parts)


def cells_by_spot(cells: Iterable[Cell]) -> dict[Spot, Cell]:
    """Returns the cells of one policy by their spots.

    Raises:
        ResultsError: two cells have the same spot: they differ in something that is no
            part of it, which is the rate of the plans as a rule.
    """
    found: dict[Spot, Cell] = {}
    for cell in cells:
        spot = Spot.of(cell.condition)
        other = found.setdefault(spot, cell)
        if other is not cell:
            raise ResultsError(
                f"{cell.condition.policy} was measured twice for {spot.words}, with "
                f"{other.condition.planner_hz} and {cell.condition.planner_hz} plans per "
                "second: compare results that hold one of them"
            )
    return found


def _timing_words(condition: Condition) -> str:
    """Returns what hinders the plans, and what helps; "" for nothing, or no plans."""
    if condition.planner_hz is None:
        return ""

    parts = []
    if condition.delay_ms:
        parts.append(f"plans {condition.delay_ms:g} ms late")
    if condition.compute_ms:
        parts.append(f"({condition.compute_ms:g} ms of it computing)")

    # a constant delay needs no word
    if condition.delay_ms and condition.latency != "constant":
        parts.append(f"({condition.latency})")

    if condition.drop_rate:
        parts.append(f"{condition.drop_rate:.0%} of plans lost")
    parts += condition.hindrances
    if condition.mailbox != "latest":
        parts.append(f"mailbox {condition.mailbox}")
    return " ".join(parts)
