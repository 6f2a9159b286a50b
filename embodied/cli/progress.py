"""How far a job has come: a bar at a terminal, a line now and then in a log.

Where the output is JSON, nothing is shown.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from embodied.closing import ClosedOnExit
from embodied.rollout.advance import Advance
from embodied.rollout.rollout import EpisodeResult
from embodied.rollout.shards import Stage

LINE_EVERY_S = 20.0
LEAST_FOR_INTERVAL = 10  # episodes; the interval of fewer is wider than 40 points
# Running episodes count in part: `n:.0f` hides the digits of that.
EPISODES_BAR = (
    "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total} [{elapsed}<{remaining}{postfix}]"
)


def duration(seconds: float) -> str:
    """Returns a time in words, e.g. "45 s" or "3 min 20 s"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 10 else f"{minutes} min"


def remaining(done: float, total: float, elapsed_s: float) -> str:
    """Returns how long the rest takes at the pace so far, in words.

    It is empty where nothing is done yet, or nothing is left.
    """
    if done <= 0 or done >= total:
        return ""
    return f"{duration(elapsed_s * (total - done) / done)} left"


@dataclass
class Tally:
    """Counts the episodes of one stage that have ended so far."""

    total: int
    begun: float  # on the clock of `time.monotonic`
    done: int = 0
    successes: int = 0
    simulated_s: float = 0.0
    # seed -> the share of the running episode that is over, where that is known
    running: dict[int, float] = field(default_factory=dict)
    _seeds: set[int] = field(default_factory=set)  # of the episodes that have ended

    def add(self, result: EpisodeResult) -> None:
        """Counts an episode; one that was repeated, since its process died, once."""
        if result.seed in self._seeds:
            return
        self._seeds.add(result.seed)
        self.running.pop(result.seed, None)
        self.done += 1
        self.successes += result.success_at_end
        self.simulated_s += result.duration_s

    @property
    def done_with_parts(self) -> float:
        """How many episodes are over, with the parts of those that run."""
        return self.done + sum(self.running.values())

    @property
    def wall_s(self) -> float:
        return time.monotonic() - self.begun

    @property
    def speed(self) -> float:
        """How many times as fast as real time."""
        return self.simulated_s / max(self.wall_s, 1e-9)

    @property
    def remaining(self) -> str:
        """How long the other episodes take at the pace so far, in words."""
        return remaining(self.done_with_parts, self.total, self.wall_s)

    def __str__(self) -> str:
        if not self.done:
            return ""
        speed = f"{self.speed:.0f}" if self.speed >= 1 else f"{self.speed:.2g}"
        return (
            f"{self.successes} of {self.done} succeeded{self._interval}, "
            f"{speed} x real time"
        )

    @property
    def _interval(self) -> str:
        """The interval of the success so far; "" for so few episodes that it tells none."""
        if self.done < LEAST_FOR_INTERVAL:
            return ""

        # imported here: scipy takes longer than the help of a verb
        from embodied.benchmark.statistics import wilson
        from embodied.benchmark.wording import interval

        return f" ({interval(wilson(self.successes, self.done))})"


@dataclass
class Whole:
    """A job of several stages, all of whose episodes take about as long."""

    total: int  # episodes of all stages
    begun: float  # on the clock of `time.monotonic`
    done: int = 0  # in the stages that have ended

    def remaining(self, done_now: float) -> str:
        """How long the rest takes, in words.

        Args:
            done_now: how many episodes of the present stage are over.
        """
        elapsed_s = time.monotonic() - self.begun
        return remaining(self.done + done_now, self.total, elapsed_s)


class EpisodeProgress:
    """Shows one stage of episodes: call it with each result.

    Between results it may be called with how far a running episode has come.
    """

    def __init__(
        self, title: str, total: int, quiet: bool, whole: Whole | None = None
    ) -> None:
        """Begins to show a stage.

        Args:
            title: of the stage.
            total: its episodes.
            quiet: whether nothing is shown.
            whole: the job that the stage is a part of; None where it is all there is.
        """
        self.tally = Tally(total, begun=time.monotonic())
        self._whole = whole
        self._title = title
        self._quiet = quiet
        self._last_line = time.monotonic()

        # a bar at a terminal, lines anywhere else
        terminal = sys.stderr.isatty() and not quiet
        self._bar = tqdm(
            total=total,
            desc=title,
            unit="episode",
            disable=not terminal,
            dynamic_ncols=True,
            bar_format=EPISODES_BAR,
        )

    def __call__(self, news: EpisodeResult | Advance) -> None:
        """Counts an episode that has ended, or how far a running one has come."""
        if isinstance(news, Advance):
            self.tally.running[news.seed] = news.share
        else:
            self.tally.add(news)
        words = ", ".join(filter(None, (str(self.tally), self._rest_of_all)))
        self._bar.set_postfix_str(words, refresh=False)
        # tqdm is told by how much the count has grown
        self._bar.update(self.tally.done_with_parts - self._bar.n)

        # In a log, where there is no bar: a line now and then, and one at the end.
        is_last = self.tally.done == self.tally.total
        overdue = time.monotonic() - self._last_line > LINE_EVERY_S
        if self._bar.disable and not self._quiet and (overdue or is_last):
            self._last_line = time.monotonic()
            self._print_line()

    def close(self) -> None:
        """Ends the bar."""
        self._bar.close()
        if self._whole is not None:
            self._whole.done += self.tally.done

    @property
    def _rest_of_all(self) -> str:
        """How long the whole job still takes, in words; "" where there is no more."""
        if self._whole is None:
            return ""
        rest = self._whole.remaining(self.tally.done_with_parts)
        return f"all: {rest}" if rest else ""

    def _print_line(self) -> None:
        tally = self.tally
        parts = [f"{tally.done}/{tally.total}", str(tally), tally.remaining]
        parts.append(self._rest_of_all)
        if tally.running:
            parts[0] += f" ({tally.done_with_parts / tally.total:.0%})"
        print(f"{self._title}: {', '.join(filter(None, parts))}", file=sys.stderr)


def stages(quiet: bool, episodes: int | None = None) -> Stage:
    """Returns a `Stage` that shows a bar or lines; nothing where `quiet`.

    With the number of episodes of all stages, it shows how long all of them take, too.
    """
    whole = None if episodes is None else Whole(episodes, time.monotonic())

    @contextmanager
    def stage(title: str, total: int) -> Iterator[EpisodeProgress]:
        progress = EpisodeProgress(title, total, quiet, whole)
        try:
            yield progress
        finally:
            progress.close()

    return stage


class CountProgress(ClosedOnExit):
    """Shows how many of the things to do are done: call it with how many more are."""

    def __init__(self, title: str, total: int, unit: str, quiet: bool = False) -> None:
        self._title = title
        self._quiet = quiet
        self._begun = time.monotonic()
        self._last_line = self._begun
        self._done = 0
        self._total = total

        # a bar at a terminal, lines anywhere else
        terminal = sys.stderr.isatty() and not quiet
        self._bar = tqdm(
            total=total,
            desc=title,
            unit=unit,
            disable=not terminal,
            dynamic_ncols=True,
        )

    def close(self) -> None:
        """Ends the bar; the lines that follow begin below it."""
        self._bar.close()

    def __call__(self, count: int = 1) -> None:
        """Adds to how many are done."""
        self._done += count
        self._bar.update(count)

        now = time.monotonic()
        overdue = now - self._last_line > LINE_EVERY_S
        if self._bar.disable and not self._quiet and overdue:
            self._last_line = now
            rest = remaining(self._done, self._total, now - self._begun)
            parts = [f"{self._done}/{self._total}", rest]
            print(f"{self._title}: {', '.join(filter(None, parts))}", file=sys.stderr)


class TrainingProgress(ClosedOnExit):
    """Shows how far a training has come: call it with each row of its figures."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        # (time, share of the budget that was spent) at the first row
        self._begun: tuple[float, float] | None = None
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

    def close(self) -> None:
        """Ends the bar; the lines that follow begin below it."""
        self._bar.close()

    def __call__(self, row: Mapping[str, Any]) -> None:
        """Shows a row; its `share` is the part of the budget that was spent."""
        self._bar.set_postfix_str(figures(row), refresh=False)
        self._bar.update(row["share"] - self._bar.n)

        # In a log, where there is no bar: a line now and then.
        now = time.monotonic()
        if self._begun is None:
            self._begun = (now, row["share"])
        overdue = now - self._last_line > LINE_EVERY_S
        if self._bar.disable and not self._quiet and overdue:
            self._last_line = now
            self._print_line(row)

    def _print_line(self, row: Mapping[str, Any]) -> None:
        begun, share = self._begun or (0.0, 0.0)  # `__call__` has set it
        parts = [f"{row['share']:.0%}", figures(row)]
        # counted from the first row, since a resumed training doesn't begin at nothing
        rest = remaining(row["share"] - share, 1.0 - share, time.monotonic() - begun)
        if rest:
            parts.append(rest)
        print(f"train: {', '.join(parts)}", file=sys.stderr)


def figures(row: Mapping[str, Any]) -> str:
    """Returns a row of training figures in words."""
    hidden = ("share", "seconds")
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.4g}"
        for name, value in row.items()
        if name not in hidden
    )
