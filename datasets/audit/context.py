"""The information that checks get beside the episode itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from embodied.datasets.audit.facts import SetFacts
from embodied.datasets.audit.thresholds import Thresholds


@dataclass(frozen=True)
class Judgement:
    """The outcome of an episode's replay.

    Attributes:
        success: whether the task was done at the end of the replay.
        instruction: the instruction that a reset with the episode's seed gives; "" if
            that reset does not give the episode's recorded start.
    """

    success: bool
    instruction: str


@dataclass(frozen=True)
class Context:
    """The dataset that an episode belongs to.

    Attributes:
        facts: the statistics over all episodes of the dataset.
        limits: the thresholds of the checks.
        judgements: the name of a demo -> the outcome of the episode's replay; only of
            episodes whose replay was bit for bit the same.
    """

    facts: SetFacts
    limits: Thresholds
    judgements: Mapping[str, Judgement] = field(default_factory=dict)
