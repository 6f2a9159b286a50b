"""The settings of imitation learning.

This module does not import torch, so that the command line can check settings at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embodied.errors import EmbodiedError
from embodied.plain import make_fields_plain
from embodied.policies.training.budget import Budget
from embodied.seeding import checked_seed

MAX_AGE_S = 0.8  # of the plans that a controller learns to follow by default


@dataclass(frozen=True)
class ImitationConfig:
    """How to train the reference dual system on datasets.

    Attributes:
        datasets: the files to learn from.
        cameras: whose pictures the planner sees.
        budget: how long to train; its steps are updates.
        seed: of everything random in the training.
        device: of torch, such as auto, cpu, cuda or cuda:1.
        workers: how many processes read pictures from disk; None for none if the
            pictures fit into memory, else one per core.
        batch_size: how many plans a batch has.
        ages_per_plan: at how many moments after each plan the controller is trained.
        min_age_s: the smallest age of a plan at such a moment.
        max_age_s: the greatest one.
        learning_rate: the greatest one; it follows the budget down to nearly nothing.
        weight_decay: of AdamW.
        jitter: by how much the pictures' contrast is varied; their brightness is varied
            by twice as much.
        start: a run to go on from, with a lower learning rate; None for networks that
            know nothing yet.
        takeover_weight: how often plans of take-overs are sampled, where an expert
            corrected a policy; 1 is as often as those of demonstrations.
        shadow_weight: the same of plans that the expert made while the policy drove; 0
            leaves them out.
    """

    datasets: tuple[Path, ...]
    cameras: tuple[str, ...]
    budget: Budget
    seed: int = 0
    device: str = "auto"
    workers: int | None = None
    batch_size: int = 48
    ages_per_plan: int = 6
    min_age_s: float = 0.0
    max_age_s: float = MAX_AGE_S
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    jitter: float = 0.06
    start: Path | None = None
    takeover_weight: float = 1.0
    shadow_weight: float = 1.0

    def __post_init__(self) -> None:
        make_fields_plain(self)
        checked_seed(self.seed)

        if self.workers is not None and self.workers < 0:
            raise EmbodiedError(f"workers must be at least 0, not {self.workers}")

        if not 0 <= self.min_age_s <= self.max_age_s < math.inf:
            raise EmbodiedError(
                "plans must be from 0 s old up, the youngest first, not "
                f"{self.min_age_s:g} to {self.max_age_s:g} s"
            )

        for name in ("takeover_weight", "shadow_weight"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise EmbodiedError(
                    f"{name} must be at least 0 and finite, not {value}"
                )

    def identity(self) -> dict[str, Any]:
        """Returns what must be the same when this training is resumed, as JSON values."""
        weights = [self.takeover_weight, self.shadow_weight]
        ages_s = [self.min_age_s, self.max_age_s]
        return {
            "method": "imitation",
            "datasets": [path.name for path in self.datasets],
            "cameras": list(self.cameras),
            "seed": self.seed,
            # None as in runs that are older than these settings
            "start": None if self.start is None else str(self.start),
            "weights": None if weights == [1, 1] else weights,
            "plan_age_s": None if ages_s == [0, MAX_AGE_S] else ages_s,
        }
