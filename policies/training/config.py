"""What imitation learns from, and how. Free of torch, so that a command line can make
one at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embodied.errors import EmbodiedError
from embodied.policies.training.budget import Budget


@dataclass(frozen=True)
class ImitationConfig:
    """How to train the reference dual system on datasets.

    The learning rate follows the budget, so that every training cools down.
    """

    datasets: tuple[Path, ...]
    cameras: tuple[str, ...]
    budget: Budget
    seed: int = 0
    device: str = "auto"  # of torch: auto, cpu, cuda, cuda:1, ...
    # processes that read pictures from disk; None: none for datasets that fit into
    # memory, else one per core
    workers: int | None = None
    batch_size: int = 48  # plans
    ages_per_plan: int = 6  # moments after each plan at which the controller is trained
    max_age_s: float = 0.8
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    jitter: float = 0.06  # of the pictures' contrast; twice as much of their brightness

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 0:
            raise EmbodiedError(f"workers must be at least 0, not {self.workers}")

    def identity(self) -> dict[str, Any]:
        """Returns what must be the same when this training is resumed, JSON-able."""
        return {
            "method": "imitation",
            "datasets": [path.name for path in self.datasets],
            "cameras": list(self.cameras),
            "seed": self.seed,
        }
