"""How far a job has come, for a person at a terminal; a line now and then for a log;
nothing beside JSON.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from embodied.rollout.rollout import EpisodeResult
from embodied.rollout.shards import Stage

LINE_EVERY_S = 20.0


@dataclass
class Tally:
    """What the episodes of one stage have come to so far."""

    total: int
    begun: float = field(default_factory=time.monotonic)
    done: int = 0
    successes: int = 0
    simulated_s: float = 0.0

    def add(self, result: EpisodeResult) -> None:
        self.done += 1
        self.successes += result.success_at_end
        self.simulated_s += result.duration_s

    @property
    def wall_s(self) -> float:
        return time.monotonic() - self.begun

    @property
    def speed(self) -> float:
        """How many times as fast as real time."""
        return self.simulated_s / max(self.wall_s, 1e-9)

    def __str__(self) -> str:
        return (
            f"{self.successes} of {self.done} succeeded, {self.speed:.0f} x real time"
            if self.done
            else ""
        )


class EpisodeProgress:
    """Shows one stage of episodes: call it with each result."""

    def __init__(self, title: str, total: int, quiet: bool) -> None:
        self.tally = Tally(total)
        self._title = title
        self._quiet = quiet
        self._last_line = time.monotonic()
        terminal = sys.stderr.isatty() and not quiet
        self._bar = tqdm(
            total=total,
            desc=title,
            unit="episode",
            disable=not terminal,
            dynamic_ncols=True,
        )

    def __call__(self, result: EpisodeResult) -> None:
        self.tally.add(result)
        self._bar.set_postfix_str(str(self.tally), refresh=False)
        self._bar.update()
        overdue = time.monotonic() - self._last_line > LINE_EVERY_S
        if (
            self._bar.disable
            and not self._quiet
            and (overdue or self.tally.done == self.tally.total)
        ):
            self._last_line = time.monotonic()
            print(
                f"{self._title}: {self.tally.done}/{self.tally.total}, {self.tally}",
                file=sys.stderr,
            )

    def close(self) -> None:
        self._bar.close()


def stages(quiet: bool) -> Stage:
    """What shows each stage of a job, given its title and the number of its episodes."""

    @contextmanager
    def stage(title: str, total: int) -> Iterator[EpisodeProgress]:
        progress = EpisodeProgress(title, total, quiet)
        try:
            yield progress
        finally:
            progress.close()

    return stage


class TrainingProgress:
    """Shows how far a training has come: call it with each row of its figures."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._last_line = time.monotonic()
        terminal = sys.stderr.isatty() and not quiet
        style = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
        self._bar = tqdm(
            total=1.0,
            desc="train",
            disable=not terminal,
            dynamic_ncols=True,
            bar_format=style,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def __call__(self, row: Mapping[str, Any]) -> None:
        self._bar.set_postfix_str(figures(row), refresh=False)
        self._bar.update(row["share"] - self._bar.n)
        overdue = time.monotonic() - self._last_line > LINE_EVERY_S
        if self._bar.disable and not self._quiet and overdue:
            self._last_line = time.monotonic()
            print(f"train: {row['share']:.0%}, {figures(row)}", file=sys.stderr)


def figures(row: Mapping[str, Any]) -> str:
    """A row of training figures in words."""
    hidden = ("share", "seconds")
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.4g}"
        for name, value in row.items()
        if name not in hidden
    )
