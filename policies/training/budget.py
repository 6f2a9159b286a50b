"""How long a training lasts."""

from __future__ import annotations

from dataclasses import dataclass

from embodied.errors import EmbodiedError


@dataclass(frozen=True)
class Budget:
    """Minutes of the wall clock, or a number of steps.

    Steps make the result independent of the machine's speed. A step is what the trainer
    counts: an update by imitation, a control step of one world by reinforcement
    learning.

    Raises:
        EmbodiedError: A number is not above 0.
    """

    minutes: float = 5.0
    max_steps: int | None = None  # instead of the minutes

    def __post_init__(self) -> None:
        if not self.minutes > 0 or (self.max_steps is not None and self.max_steps < 1):
            raise EmbodiedError(
                f"minutes {self.minutes:g} and steps {self.max_steps} must be above 0"
            )

    def share(self, seconds: float, steps: int) -> float:
        """Returns how much of the training is behind it, in [0, 1]."""
        if self.max_steps is None:
            return min(seconds / (60 * self.minutes), 1.0)
        return min(steps / self.max_steps, 1.0)
