"""Paces control steps by the wall clock, and measures their delays."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

# The operating system may end a sleep up to this much too late. So a sleep is shorter by this
# time, and a busy loop waits for what remains.
SPIN_S = 0.0005
LATE_MS = 1.0  # a control step with a larger delay counts as late


@dataclass(frozen=True)
class Punctuality:
    """Statistics of the delays with which an episode's control steps began.

    Attributes:
        steps: the number of control steps.
        late_share: the share of steps with a delay above LATE_MS.
        median_ms: the median delay.
        p99_ms: the 99th percentile of the delays.
        worst_ms: the largest delay.
    """

    steps: int
    late_share: float
    median_ms: float
    p99_ms: float
    worst_ms: float


class Pacer:
    """Delays each control step until it is due.

    Step k is due k periods after the first step. A late step does not delay the steps
    after it.
    """

    def __init__(self, control_hz: float) -> None:
        self._period_s = 1 / control_hz
        self._first_step_s = 0.0  # the time at which the first step began
        self._delays_s: list[float] = []  # the delay of each step of the episode

    def reset(self) -> None:
        """Begins an episode: the next step is its first."""
        self._delays_s = []

    def wait(self) -> None:
        """Waits until the next step is due; returns at once if it is late."""
        step = len(self._delays_s)
        if step == 0:
            self._first_step_s = time.perf_counter()
        due_s = self._first_step_s + step * self._period_s

        remaining_s = due_s - time.perf_counter()
        if remaining_s > SPIN_S:
            time.sleep(remaining_s - SPIN_S)
        # a busy loop waits for the last part, because it ends in time
        while (delay_s := time.perf_counter() - due_s) < 0:
            continue
        self._delays_s.append(delay_s)

    def punctuality(self) -> Punctuality:
        """Returns statistics of the delays since the reset; NaN if there were no steps."""
        delays_ms = 1000 * np.array(self._delays_s or [np.nan])
        median_ms, p99_ms = np.quantile(delays_ms, (0.5, 0.99)).tolist()
        return Punctuality(
            steps=len(self._delays_s),
            late_share=float((delays_ms > LATE_MS).mean()),
            median_ms=median_ms,
            p99_ms=p99_ms,
            worst_ms=float(delays_ms.max()),
        )
