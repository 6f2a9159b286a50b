"""How long a training lasts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from embodied.errors import EmbodiedError
from embodied.plain import make_fields_plain


@dataclass(frozen=True)
class Budget:
    """Minutes of the wall clock, or a number of steps.

    With steps the result does not depend on the machine's speed. Imitation counts
    updates as steps, reinforcement learning control steps of all worlds together.

    Attributes:
        minutes: how long to train; not used with `max_steps`.
        max_steps: how many steps to train; None for a budget of minutes.

    Raises:
        EmbodiedError: A number is not above 0.
    """

    minutes: float = 5.0
    max_steps: int | None = None

    def __post_init__(self) -> None:
        make_fields_plain(self)
        if self.max_steps is not None:
            if self.max_steps < 1:
                raise EmbodiedError(f"max_steps must be above 0, not {self.max_steps}")
        elif not 0 < self.minutes < math.inf:
            raise EmbodiedError(
                f"minutes must be above 0 and finite, not {self.minutes:g}"
            )

    @property
    def flag(self) -> str:
        """What to type for it, such as `--minutes 5`."""
        if self.max_steps is None:
            return f"--minutes {self.minutes:g}"
        return f"--steps {self.max_steps}"

    def share(self, seconds: float, steps: int) -> float:
        """Returns which share of the budget is spent, in [0, 1]."""
        if self.max_steps is None:
            return min(seconds / (60 * self.minutes), 1.0)
        return min(steps / self.max_steps, 1.0)
