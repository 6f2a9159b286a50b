"""Scenarios: the conditions of a comparison, the same for every policy; and groups of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from embodied.benchmark.results import Cell, Condition, ResultsError

# attributes of scenarios that form groups, in the order in which groups are listed
GROUP_ATTRIBUTES = ("level", "task", "robot", "split", "timing")


@dataclass(frozen=True)
class Scenario:
    """A condition without its policy: two cells of one scenario can be compared.

    A policy that makes no plans shares scenarios with policies whose plans arrive at once.
    """

    task: str
    robot: str
    level: str
    split: str
    stage: str
    timing: str  # delays, losses and remedies in words; "" if plans arrive at once

    @classmethod
    def of(cls, condition: Condition) -> Scenario:
        """Returns the scenario of a cell's condition."""
        return cls(
            task=condition.task,
            robot=condition.robot,
            level=condition.level,
            split=condition.split,
            stage=condition.stage,
            timing=_timing_text(condition),
        )

    @property
    def without_timing(self) -> Scenario:
        """The same scenario with plans that arrive at once."""
        return replace(self, timing="")

    @property
    def description(self) -> str:
        """E.g. "ToteTransfer arm L3, held out: objects, plans 100 ms late"."""
        parts = [" ".join(filter(None, (self.task, self.robot, self.level)))]
        if self.split != "train":
            parts.append(f"held out: {self.split}")
        if self.stage:
            parts.append(f"stage {self.stage}")
        if self.timing:
            parts.append(self.timing)
        return ", ".join(parts)


@dataclass(frozen=True)
class ScenarioGroup:
    """The scenarios that have the same value of one attribute.

    Attributes:
        attribute: the attribute's name, one of GROUP_ATTRIBUTES.
        value: its value, e.g. "PourWater" for the task.
        scenarios: the scenarios with this value.
    """

    attribute: str
    value: str
    scenarios: tuple[Scenario, ...]

    @property
    def description(self) -> str:
        """E.g. "PourWater", "held out: objects" or "plans in time"."""
        if self.attribute == "split":
            return "seen values" if self.value == "train" else f"held out: {self.value}"
        if self.attribute == "timing":
            return self.value or "plans in time"
        return self.value


def scenario_groups(scenarios: Sequence[Scenario]) -> list[ScenarioGroup]:
    """Returns the groups of scenarios by level, task, robot, split and timing.

    A group is left out if it is no proper part of the scenarios, or if another one has
    the same scenarios; an attribute is left out if each of its groups is one scenario.
    """
    groups: list[ScenarioGroup] = []
    known = {frozenset(scenarios)}
    for attribute in GROUP_ATTRIBUTES:
        # value of the attribute -> scenarios
        members: dict[str, list[Scenario]] = {}
        for scenario in scenarios:
            members.setdefault(getattr(scenario, attribute), []).append(scenario)
        if len(members) == len(scenarios):
            continue

        for value, group in members.items():
            if frozenset(group) not in known:
                known.add(frozenset(group))
                groups.append(ScenarioGroup(attribute, value, tuple(group)))
    return groups


def cells_by_scenario(cells: Iterable[Cell]) -> dict[Scenario, Cell]:
    """Returns the cells of one policy by their scenarios, scenario -> cell.

    Raises:
        ResultsError: two cells have the same scenario. They usually differ in the rate of
            plans, which is not part of a scenario.
    """
    cells_of_scenarios: dict[Scenario, Cell] = {}
    for cell in cells:
        scenario = Scenario.of(cell.condition)
        other = cells_of_scenarios.setdefault(scenario, cell)
        if other is not cell:
            raise ResultsError(
                f"{cell.condition.policy} was measured twice for {scenario.description}, with "
                f"{other.condition.planner_hz} and {cell.condition.planner_hz} plans per "
                "second: compare results that hold one of them"
            )
    return cells_of_scenarios


def _timing_text(condition: Condition) -> str:
    """Returns delays, losses and remedies of plans in words.

    Returns "" if plans arrive at once, or if the policy makes none.
    """
    if condition.planner_hz is None:
        return ""

    parts = []
    if condition.delay_ms:
        parts.append(f"plans {condition.delay_ms:g} ms late")
    if condition.compute_ms:
        parts.append(f"({condition.compute_ms:g} ms of it computing)")

    # the distribution of delays; a constant delay needs no mention
    if condition.delay_ms and condition.latency != "constant":
        parts.append(f"({condition.latency})")

    if condition.drop_rate:
        parts.append(f"{condition.drop_rate:.0%} of plans lost")
    # freezes and outages; then the remedies, which are the bridge and the mailbox
    parts += condition.interruptions_and_remedies
    return " ".join(parts)
