"""The settings of imitation learning.

This module does not import torch, so that the command line checks settings quickly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embodied.errors import EmbodiedError, unknown
from embodied.plain import make_fields_plain
from embodied.policies.training.budget import Budget
from embodied.policies.vla.head_config import HEADS
from embodied.seeding import checked_seed

BATCH_SIZE = 48  # default for the number of plans per batch
MAX_AGE_S = 0.8  # default for the largest age of plans in training


@dataclass(frozen=True)
class ImitationConfig:
    """The settings for training the dual system, or a single system, on datasets.

    Attributes:
        datasets: the files to learn from.
        cameras: the names of the cameras whose images the planner gets.
        budget: the duration of the training; its steps are updates.
        seed: the seed of all random numbers in the training.
        device: the device of torch, such as auto, cpu, cuda or cuda:1.
        workers: the number of processes that read images and control steps from disk; 0
            to keep all of these in memory; None for 0 if they fit, else one per core.
        batch_size: the number of plans per batch, of all ranks together.
        ages_per_plan: the number of ages at which the controller is trained for each plan.
        min_age_s: the smallest of these ages.
        max_age_s: the largest of these ages.
        learning_rate: the peak of the schedule, which falls to nearly 0 with the budget.
        weight_decay: the weight decay of AdamW.
        jitter: the largest random change of the images' contrast, as a share of it; their
            brightness changes by up to twice as much.
        start: a run whose weights to start from, with a lower learning rate; None to
            start with random weights.
        takeover_weight: the relative frequency at which plans of take-overs are sampled, in
            episodes in which an expert corrected a policy; demonstrations have 1.
        shadow_weight: the same for the expert's plans while the policy drove; 0 leaves
            them out.
        head: the action head of a single system, one of HEADS; None to train the dual
            system.
    """

    datasets: tuple[Path, ...]
    cameras: tuple[str, ...]
    budget: Budget
    seed: int = 0
    device: str = "auto"
    workers: int | None = None
    batch_size: int = BATCH_SIZE
    ages_per_plan: int = 6
    min_age_s: float = 0.0
    max_age_s: float = MAX_AGE_S
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    jitter: float = 0.06
    start: Path | None = None
    takeover_weight: float = 1.0
    shadow_weight: float = 1.0
    head: str | None = None

    def __post_init__(self) -> None:
        """Raises EmbodiedError for numbers that are impossible."""
        # NumPy's numbers become Python's, to be written as JSON
        make_fields_plain(self)
        checked_seed(self.seed)

        if self.workers is not None and self.workers < 0:
            raise EmbodiedError(f"workers must be at least 0, not {self.workers}")
        if self.batch_size < 1:
            raise EmbodiedError(f"batch_size must be at least 1, not {self.batch_size}")

        if self.head is not None and self.head not in HEADS:
            raise unknown("action head", self.head, HEADS)

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

    @property
    def system(self) -> str:
        """What is trained, in words: "dual", or "single" with its head."""
        return "dual" if self.head is None else f"single with the head {self.head}"

    def identity(self) -> dict[str, Any]:
        """Returns the settings that a resumed training must share, as JSON values."""
        weights = [self.takeover_weight, self.shadow_weight]
        ages_s = [self.min_age_s, self.max_age_s]
        return {
            "method": "imitation",
            "datasets": [path.name for path in self.datasets],
            "cameras": list(self.cameras),
            "seed": self.seed,
            # defaults are stored as None: runs from before these settings have no entry,
            # and such a run can then be resumed
            "start": None if self.start is None else str(self.start),
            "batch_size": None if self.batch_size == BATCH_SIZE else self.batch_size,
            "weights": None if weights == [1, 1] else weights,
            "plan_age_s": None if ages_s == [0, MAX_AGE_S] else ages_s,
            "system": self.system,
        }
