"""Takes: episodes by hand, of which the person keeps the good ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from embodied.datasets.recorder import Recorder
from embodied.datasets.schema import Episode
from embodied.datasets.writer import EpisodeWriter
from embodied.envs.worlds import Worlds
from embodied.policies.teleop.device import Device
from embodied.policies.teleop.operator import Operator, TakeStopped
from embodied.policies.teleop.shared import SharedOperator
from embodied.rollout.rollout import EpisodeResult, Hook, rollout

# The events by which a person decides about a take at its end.
DECISIONS = ("keep", "mark", "discard", "quit")


class Screen(Hook, Protocol):
    """A rollout hook that shows the world to the person in real time."""

    def ask(self, result: EpisodeResult) -> None:
        """Shows the result of a take, and waits a moment for the person's decision."""


@dataclass(frozen=True)
class Labels:
    """The labels that are stored with each take.

    Attributes:
        operator: the name of the person.
        device: the name of the device.
    """

    operator: str
    device: str


@dataclass
class UndecidedTake:
    """An episode sink that keeps the episode until the person has decided about it."""

    episode: Episode | None = None

    def write(self, episode: Episode) -> None:
        self.episode = episode


class Takes:
    """Records takes into a dataset, one per seed, until the person ends the session."""

    def __init__(
        self,
        worlds: Worlds,
        operator: Operator | SharedOperator,
        device: Device,
        writer: EpisodeWriter,
        labels: Labels,
        screen: Screen | None = None,
    ) -> None:
        """Prepares the session.

        Args:
            worlds: the one world of the takes.
            operator: the person, as a policy.
            device: the device by which the person decides about takes; it must be open.
            writer: the writer of the dataset, which is not closed here.
            labels: the labels to store with each take.
            screen: the screen that shows the world to the person; None for no screen.
        """
        self._worlds = worlds
        self._operator = operator
        self._device = device
        self._writer = writer
        self._labels = labels
        self._screen = screen

    def record(self, seeds: Sequence[int]) -> list[EpisodeResult]:
        """Records a take for each seed that is not in the dataset yet.

        A discarded take is repeated from the same start.

        Returns:
            The results of the kept takes.
        """
        kept: list[EpisodeResult] = []
        for seed in seeds:
            if seed in self._writer.seeds:
                continue
            result = self._record_one(seed)
            if result is None:
                break
            kept.append(result)
        return kept

    def _record_one(self, seed: int) -> EpisodeResult | None:
        """Repeats a take from the same start until the person keeps it, and writes it.

        Returns:
            The result of the kept take; None if the person ends the session.
        """
        while True:
            undecided = UndecidedTake()
            decision, result = self._run_once(seed, undecided)
            if decision == "quit":
                return None
            if decision == "discard" or result is None or undecided.episode is None:
                continue
            self._write(undecided.episode, marked=decision == "mark")
            return result

    def _run_once(
        self, seed: int, undecided: UndecidedTake
    ) -> tuple[str, EpisodeResult | None]:
        """Runs a take once, and lets the person decide about it.

        Args:
            seed: the seed of the take.
            undecided: the sink that gets the recorded episode.

        Returns:
            The person's decision, one of DECISIONS, and the result of the take; the result
            is None if the person stopped the take.
        """
        recorder = Recorder(undecided, self._writer.header.record_hz)
        hooks: list[Hook] = [recorder]
        if self._screen is not None:
            hooks.append(self._screen)
        try:
            [result] = rollout(self._worlds, self._operator, [seed], hooks=hooks)
        except TakeStopped as stop:
            return stop.event, None
        return self._decide(result), result

    def _decide(self, result: EpisodeResult) -> str:
        """Waits until the person decides about a take that is over; returns the decision."""
        while True:
            if self._screen is not None:
                self._screen.ask(result)
            events = self._device.read().events
            for decision in DECISIONS:
                if decision in events:
                    return decision

    def _write(self, episode: Episode, marked: bool) -> None:
        """Writes a take with its labels to the dataset."""
        meta = episode.meta
        # without a policy to correct there are no take-overs, but the recorder counts some
        if self._writer.header.correction is None:
            meta = replace(meta, takeovers=None, takeover_s=None)
        meta = replace(
            meta,
            operator=self._labels.operator,
            device=self._labels.device,
            # the person marks a take while it runs, or when deciding on it
            marked=marked or self._operator.is_marked,
        )
        self._writer.write(replace(episode, meta=meta))
