"""The budget of a training."""

from __future__ import annotations

import math
from dataclasses import dataclass

from embodied.errors import EmbodiedError
from embodied.plain import make_fields_plain


@dataclass(frozen=True)
class Budget:
    """How long a training may take: minutes by the wall clock, or a number of steps.

    With steps, the result does not depend on the machine's speed. A step is an update in
    imitation learning, and a control step in reinforcement learning, where the steps of
    all worlds are counted.

    Attributes:
        minutes: the duration of training; ignored if `max_steps` is given.
        max_steps: the number of steps; None for a budget of minutes.

    Raises:
        EmbodiedError: a number is not above 0.
    """

    minutes: float = 5.0
    max_steps: int | None = None

    def __post_init__(self) -> None:
        """Raises EmbodiedError unless the budget is above 0."""
        # NumPy's numbers become Python's, to be written as JSON
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
        """The flag of the command line for this budget, such as `--minutes 5`."""
        if self.max_steps is None:
            return f"--minutes {self.minutes:g}"
        return f"--steps {self.max_steps}"

    def share(self, seconds: float, steps: int) -> float:
        """Returns the share of the budget that is spent, in [0, 1].

        Args:
            seconds: the duration of training so far.
            steps: the number of training steps so far.
        """
        if self.max_steps is None:
            return min(seconds / (60 * self.minutes), 1.0)
        return min(steps / self.max_steps, 1.0)
