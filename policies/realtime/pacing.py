"""Control steps on the wall clock, and how punctual they were."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

# A sleep may end this much too late, so it is that much shorter, and a busy loop does
# the rest.
SPIN_S = 0.0005
LATE_MS = 1.0  # a control step that begins later than this counts as late


@dataclass(frozen=True)
class Punctuality:
    """How punctual the control steps of an episode were.

    Attributes:
        steps: how many there were.
        late_share: the share of them that began more than 1 ms late.
        median_ms: how late they usually began.
        p99_ms: how late the 99th percentile began.
        worst_ms: how late the latest of them began.
    """

    steps: int
    late_share: float
    median_ms: float
    p99_ms: float
    worst_ms: float


class Pacer:
    """Lets control steps begin when they are due, counted from the first.

    A step that is late does not move the later ones.
    """

    def __init__(self, control_hz: float) -> None:
        self._period_s = 1 / control_hz
        self._begun_s = 0.0
        self._late_s: list[float] = []

    def reset(self) -> None:
        """Lets the next step be the first."""
        self._late_s = []

    def wait(self) -> None:
        """Returns when the next step is due, at once if that is over."""
        number = len(self._late_s)
        if not number:
            self._begun_s = time.perf_counter()
        due_s = self._begun_s + number * self._period_s

        left_s = due_s - time.perf_counter()
        if left_s > SPIN_S:
            time.sleep(left_s - SPIN_S)
        while (late_s := time.perf_counter() - due_s) < 0:
            continue
        self._late_s.append(late_s)

    def punctuality(self) -> Punctuality:
        """Returns how punctual steps were since the reset; without steps, nan ms."""
        late_ms = 1000 * np.array(self._late_s or [np.nan])
        median_ms, p99_ms = np.quantile(late_ms, (0.5, 0.99)).tolist()
        return Punctuality(
            steps=len(self._late_s),
            late_share=float((late_ms > LATE_MS).mean()),
            median_ms=median_ms,
            p99_ms=p99_ms,
            worst_ms=float(late_ms.max()),
        )
