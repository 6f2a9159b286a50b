"""What a check may look at beside the episode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from embodied.datasets.audit.facts import SetFacts
from embodied.datasets.audit.thresholds import Thresholds


@dataclass(frozen=True)
class Judgement:
    """What a replay of an episode says of it.

    Attributes:
        success: whether the task was done at its end.
        instruction: the sentence that its seed begins with; "" where its start is not
            that of its seed.
    """

    success: bool
    instruction: str


@dataclass(frozen=True)
class Context:
    """The set that an episode is in.

    Attributes:
        facts: what its episodes have in common.
        limits: when the audit speaks up.
        judgements: by demo, of episodes that were replayed bit for bit.
    """

    facts: SetFacts
    limits: Thresholds
    judgements: Mapping[str, Judgement] = field(default_factory=dict)
