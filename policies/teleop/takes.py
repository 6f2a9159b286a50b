"""Takes: episodes by hand, of which the person keeps those that are good."""

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

# What a person may decide at the end of a take.
DECISIONS = ("keep", "mark", "discard", "quit")


class Screen(Hook, Protocol):
    """What a person looks at: a rollout hook that shows the world in real time."""

    def ask(self, result: EpisodeResult) -> None:
        """Shows how a take ended, and waits a moment for the person's decision."""


@dataclass(frozen=True)
class Labels:
    """What is written of each take.

    Attributes:
        operator: who the person is.
        device: the name of the device.
    """

    operator: str
    device: str


@dataclass
class Held:
    """Holds a recorded episode until the person has decided: a sink of a recorder."""

    episode: Episode | None = None

    def write(self, episode: Episode) -> None:
        self.episode = episode


class Takes:
    """Records takes into a dataset, one for each seed, until the person has enough."""

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
            worlds: one world.
            operator: the person, as a policy.
            device: what the person decides with; it is open.
            writer: of the dataset, which it does not close.
            labels: what is written of each take.
            screen: what the person looks at; None for nothing, as with a script.
        """
        self._worlds = worlds
        self._operator = operator
        self._device = device
        self._writer = writer
        self._labels = labels
        self._screen = screen

    def record(self, seeds: Sequence[int]) -> list[EpisodeResult]:
        """Records a take for each seed that the dataset does not hold yet.

        A take that is thrown away is begun again, from the same start.

        Returns:
            The results of the takes that were kept.
        """
        kept: list[EpisodeResult] = []
        for seed in seeds:
            if seed in self._writer.seeds:
                continue
            result = self._one(seed)
            if result is None:
                break
            kept.append(result)
        return kept

    def _one(self, seed: int) -> EpisodeResult | None:
        """Records a take until it is kept; returns None if the person ends the session."""
        while True:
            held = Held()
            decision, result = self._try(seed, held)
            if decision == "quit":
                return None
            if decision == "discard" or result is None or held.episode is None:
                continue
            self._write(held.episode, decision == "mark")
            return result

    def _try(self, seed: int, held: Held) -> tuple[str, EpisodeResult | None]:
        """Plays a take; returns what the person decides, and how it went."""
        recorder = Recorder(held, self._writer.header.record_hz)
        hooks: list[Hook] = [recorder]
        if self._screen is not None:
            hooks.append(self._screen)
        try:
            [result] = rollout(self._worlds, self._operator, [seed], hooks)
        except TakeStopped as stop:
            return stop.event, None
        return self._decide(result), result

    def _decide(self, result: EpisodeResult) -> str:
        """Waits until the person decides about a take that is over."""
        while True:
            if self._screen is not None:
                self._screen.ask(result)
            events = self._device.read().events
            for decision in DECISIONS:
                if decision in events:
                    return decision

    def _write(self, episode: Episode, marked: bool) -> None:
        meta = episode.meta
        if self._writer.header.correction is None:
            # nobody else drove, so there was nothing to take over
            meta = replace(meta, takeovers=None, takeover_s=None)
        meta = replace(
            meta,
            operator=self._labels.operator,
            device=self._labels.device,
            marked=marked or self._operator.is_marked,
        )
        self._writer.write(replace(episode, meta=meta))
