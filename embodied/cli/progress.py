"""Shows the progress of jobs: as a bar in a terminal, as periodic lines in a log.

With JSON output, no progress is shown.
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
from embodied.rollout.advance import Advance, Forecast
from embodied.rollout.rollout import EpisodeResult
from embodied.rollout.shards import Stage

LINE_EVERY_S = 20.0  # time between two lines of progress in a log
# With fewer episodes, no interval is shown: it would be wider than 40 percentage points.
LEAST_FOR_INTERVAL = 10
# `n` includes fractions of running episodes, so it is formatted without decimals.
EPISODES_BAR = (
    "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total} [{elapsed}<{remaining}{postfix}]"
)


def duration(seconds: float) -> str:
    """Returns a duration in words, e.g. "45 s" or "3 min 20 s"."""
    rounded_s = round(seconds)
    if rounded_s < 60:
        return f"{rounded_s} s"
    minutes, seconds_left = divmod(rounded_s, 60)
    return f"{minutes} min {seconds_left} s" if minutes < 10 else f"{minutes} min"


def remaining(done: float, total: float, elapsed_s: float) -> str:
    """Returns the remaining time at the pace so far, in words.

    The text is "" if nothing is done yet, or everything is done.
    """
    if done <= 0 or done >= total:
        return ""
    return f"{duration(elapsed_s * (total - done) / done)} left"


@dataclass
class Tally:
    """Counts the ended episodes of one stage."""

    total: int  # number of episodes in the stage, or an estimate
    begun: float  # on the clock of `time.monotonic`
    done: int = 0  # number of ended episodes
    successes: int = 0
    simulated_s: float = 0.0
    # seed of a running episode -> its elapsed share, for episodes that report it
    running: dict[int, float] = field(default_factory=dict)
    _seeds: set[int] = field(default_factory=set)  # the seeds of the ended episodes

    def add(self, result: EpisodeResult) -> None:
        """Counts an ended episode."""
        # an episode that was repeated, because its process died, counts once
        if result.seed in self._seeds:
            return
        self._seeds.add(result.seed)
        self.running.pop(result.seed, None)
        self.done += 1
        self.successes += result.success_at_end
        self.simulated_s += result.duration_s

    @property
    def done_with_parts(self) -> float:
        """The number of ended episodes plus the elapsed shares of running ones."""
        return self.done + sum(self.running.values())

    @property
    def wall_s(self) -> float:
        return time.monotonic() - self.begun

    @property
    def speed(self) -> float:
        """Simulated time over wall time."""
        return self.simulated_s / max(self.wall_s, 1e-9)  # no division by 0

    @property
    def remaining(self) -> str:
        """The remaining time of the stage at the pace so far, in words."""
        return remaining(self.done_with_parts, self.total, self.wall_s)

    def __str__(self) -> str:
        """Returns the counts in words, e.g. "4 of 5 succeeded, 35 x real time"."""
        if not self.done:
            return ""
        speed = f"{self.speed:.0f}" if self.speed >= 1 else f"{self.speed:.2g}"
        return (
            f"{self.successes} of {self.done} succeeded{self._interval}, "
            f"{speed} x real time"
        )

    @property
    def _interval(self) -> str:
        """The confidence interval of the success rate so far; "" with few episodes."""
        if self.done < LEAST_FOR_INTERVAL:
            return ""

        # imported here, because scipy would slow down `embodied VERB --help`
        from embodied.benchmark.statistics import wilson
        from embodied.benchmark.wording import interval

        return f" ({interval(wilson(self.successes, self.done))})"


@dataclass
class WholeJob:
    """The progress of a job of several stages, whose episodes take about equally long."""

    total: int  # number of episodes of all stages
    begun: float  # on the clock of `time.monotonic`
    done: int = 0  # number of episodes of ended stages

    def remaining(self, done_now: float) -> str:
        """Returns the remaining time of the job, in words.

        Args:
            done_now: the number of ended episodes of the current stage.
        """
        elapsed_s = time.monotonic() - self.begun
        return remaining(self.done + done_now, self.total, elapsed_s)


class EpisodeProgress:
    """Shows the progress of one stage; call the object with each episode's result.

    It may also be called with an `Advance` of a running episode, and with a `Forecast` of
    how many episodes the stage will have.
    """

    def __init__(
        self, title: str, total: int, quiet: bool, whole: WholeJob | None = None
    ) -> None:
        """Starts the progress of a stage.

        Args:
            title: the title of the stage.
            total: the number of episodes in the stage.
            quiet: whether to show nothing.
            whole: the job that the stage is a part of; None for a single stage.
        """
        self.tally = Tally(total, begun=time.monotonic())
        self._whole = whole
        self._title = title
        self._quiet = quiet
        self._most = total  # the number of episodes that a forecast cannot exceed
        self._last_line = time.monotonic()
        self._done_at_last_line = 0

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

    def __call__(self, news: EpisodeResult | Advance | Forecast) -> None:
        """Counts an ended episode, or takes other news of the stage."""
        if isinstance(news, Forecast):
            self._expect(news.total)
        elif isinstance(news, Advance):
            self.tally.running[news.seed] = news.share
        else:
            self.tally.add(news)
        text = ", ".join(filter(None, (str(self.tally), self._job_remaining)))
        self._bar.set_postfix_str(text, refresh=False)
        # tqdm's `update` takes the increment, not the new value
        self._bar.update(self.tally.done_with_parts - self._bar.n)

        # in a log there is no bar, but a line every LINE_EVERY_S
        if time.monotonic() - self._last_line > LINE_EVERY_S:
            self._print_line()

    def close(self) -> None:
        """Ends the bar, or prints the last line."""
        self._bar.close()
        if self.tally.done > self._done_at_last_line:
            self._print_line()
        if self._whole is not None:
            self._whole.done += self.tally.done

    def _expect(self, total: int) -> None:
        """Sets how many episodes the stage will have."""
        total = min(max(total, self.tally.done), self._most)
        if self._whole is not None:
            self._whole.total += total - self.tally.total
        self.tally.total = total
        self._bar.total = total

    @property
    def _job_remaining(self) -> str:
        """The remaining time of the whole job, in words; "" for a single stage."""
        if self._whole is None:
            return ""
        time_left = self._whole.remaining(self.tally.done_with_parts)
        return f"all: {time_left}" if time_left else ""

    def _print_line(self) -> None:
        """Prints the progress as a line, where there is no bar."""
        if self._quiet or not self._bar.disable:
            return
        self._last_line = time.monotonic()
        self._done_at_last_line = self.tally.done

        tally = self.tally
        parts = [f"{tally.done}/{tally.total}", str(tally), tally.remaining]
        parts.append(self._job_remaining)
        if tally.running:
            parts[0] += f" ({tally.done_with_parts / tally.total:.0%})"
        print(f"{self._title}: {', '.join(filter(None, parts))}", file=sys.stderr)


def stages(quiet: bool, episodes: int | None = None) -> Stage:
    """Returns a `Stage` that shows a bar or lines.

    Args:
        quiet: whether to show nothing.
        episodes: the number of episodes of all stages, to show the remaining time of the
            whole job; None to show only the remaining time of each stage.
    """
    whole = None
    if episodes is not None:
        whole = WholeJob(episodes, begun=time.monotonic())

    @contextmanager
    def stage(title: str, total: int) -> Iterator[EpisodeProgress]:
        """Yields the progress of one stage, and ends its line afterwards."""
        progress = EpisodeProgress(title, total, quiet, whole)
        try:
            yield progress
        finally:
            progress.close()

    return stage


class CountProgress(ClosedOnExit):
    """Shows how many items are done; call the object with the number of new items."""

    def __init__(self, title: str, total: int, unit: str, quiet: bool = False) -> None:
        """Shows the empty bar."""
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
        """Ends the bar; later lines start below it."""
        self._bar.close()

    def expect(self, total: int) -> None:
        """Sets how many items there will be."""
        self._total = total
        self._bar.total = total

    def __call__(self, count: int = 1) -> None:
        """Adds `count` items to those that are done."""
        self._done += count
        self._bar.update(count)

        now = time.monotonic()
        overdue = now - self._last_line > LINE_EVERY_S
        if self._bar.disable and not self._quiet and overdue:
            self._last_line = now
            time_left = remaining(self._done, self._total, now - self._begun)
            parts = [f"{self._done}/{self._total}", time_left]
            print(f"{self._title}: {', '.join(filter(None, parts))}", file=sys.stderr)


class TrainingProgress(ClosedOnExit):
    """Shows the progress of a training; call the object with each row of figures."""

    def __init__(self, quiet: bool) -> None:
        """Shows the empty bar, whose end is the end of the budget."""
        self._quiet = quiet
        # (time, spent share of the budget) at the first row
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
        """Ends the bar; later lines start below it."""
        self._bar.close()

    def __call__(self, row: Mapping[str, Any]) -> None:
        """Shows a row; its `share` is the spent share of the budget."""
        self._bar.set_postfix_str(figures(row), refresh=False)
        self._bar.update(row["share"] - self._bar.n)

        # in a log there is no bar, but a line every LINE_EVERY_S
        now = time.monotonic()
        if self._begun is None:
            self._begun = (now, row["share"])
        overdue = now - self._last_line > LINE_EVERY_S
        if self._bar.disable and not self._quiet and overdue:
            self._last_line = now
            self._print_line(row, *self._begun)

    def _print_line(
        self, row: Mapping[str, Any], begun_s: float, first_share: float
    ) -> None:
        """Prints a row with the remaining time.

        Args:
            row: the figures.
            begun_s: the time at which the first row was shown.
            first_share: the spent share of the budget at that time, which is not 0 if the
                training was resumed.
        """
        parts = [f"{row['share']:.0%}", figures(row)]
        time_left = remaining(
            row["share"] - first_share, 1.0 - first_share, time.monotonic() - begun_s
        )
        if time_left:
            parts.append(time_left)
        print(f"train: {', '.join(parts)}", file=sys.stderr)


def figures(row: Mapping[str, Any]) -> str:
    """Returns a row of training figures in words."""
    # `share` and `seconds` are shown elsewhere in the line
    hidden = ("share", "seconds", "processor_s")
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.4g}"
        for name, value in row.items()
        if name not in hidden
    )
