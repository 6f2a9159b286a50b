"""Pacing control steps by the wall clock, and measuring their delays."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

# The system may end a sleep this much too late. So a sleep ends this much early, and a busy
# loop waits for the rest.
SPIN_S = 0.0005
LATE_MS = 1.0  # a control step with a larger delay counts as late


@dataclass(frozen=True)
class Punctuality:
    """Statistics of the delays with which an episode's control steps began.

    Attributes:
        steps: number of control steps.
        late_share: share of steps with a delay above LATE_MS.
        median_ms: median delay.
        p99_ms: 99th percentile of the delays.
        worst_ms: largest delay.
    """

    steps: int
    late_share: float
    median_ms: float
    p99_ms: float
    worst_ms: float


class Pacer:
    """Delays each control step until it is due.

    Step k is due k periods after the first step. A late step does not delay the following
    ones.
    """

    def __init__(self, control_hz: float) -> None:
        self._period_s = 1 / control_hz
        self._begun_s = 0.0
        self._late_s: list[float] = []

    def reset(self) -> None:
        """Begins an episode: the next step is its first."""
        self._late_s = []

    def wait(self) -> None:
        """Waits until the next step is due; returns at once if it is late."""
        number = len(self._late_s)
        if not number:
            self._begun_s = time.perf_counter()
        due_s = self._begun_s + number * self._period_s

        left_s = due_s - time.perf_counter()
        if left_s > SPIN_S:
            time.sleep(left_s - SPIN_S)
        # busy loop for the last part
        while (late_s := time.perf_counter() - due_s) < 0:
            continue
        self._late_s.append(late_s)

    def punctuality(self) -> Punctuality:
        """Returns the delays since the reset; they are NaN if there were no steps."""
        late_ms = 1000 * np.array(self._late_s or [np.nan])
        median_ms, p99_ms = np.quantile(late_ms, (0.5, 0.99)).tolist()
        return Punctuality(
            steps=len(self._late_s),
            late_share=float((late_ms > LATE_MS).mean()),
            median_ms=median_ms,
            p99_ms=p99_ms,
            worst_ms=float(late_ms.max()),
        )
