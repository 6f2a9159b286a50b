"""Replaying recorded episodes, to check that the same states come out bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embodied.datasets.reader import Dataset
from embodied.datasets.schema import Episode, Stream
from embodied.envs.episodes import EpisodeStart
from embodied.envs.worlds import Worlds

# Takes the metadata of a dataset, returns worlds to replay it in.
MakeWorlds = Callable[[Mapping[str, Any]], Worlds]

# The entries of the metadata that may explain why states differ.
CAUSES = ("model_hash", "versions", "physics_hz")


@dataclass(frozen=True)
class ReplayReport:
    """The outcome of replaying one episode.

    Attributes:
        number: of the episode in the file.
        seed: of the episode.
        steps: how many control steps it has.
        first_mismatch_tick: the end of the first control step after which the state
            differs; None if none does.
        differences: those of `CAUSES` that have changed since the recording.
    """

    number: int
    seed: int
    steps: int
    first_mismatch_tick: int | None
    differences: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether all states were the same."""
        return self.first_mismatch_tick is None


def replay(
    path: str | Path, make_worlds: MakeWorlds, numbers: Sequence[int] | None = None
) -> list[ReplayReport]:
    """Replays episodes from their recorded starts with their recorded actions.

    Args:
        path: of the dataset.
        make_worlds: makes the worlds; as many episodes run at once as there are worlds.
        numbers: of the episodes to replay; all by default.

    Returns:
        A report per episode, in the order of `numbers`.

    Raises:
        DatasetError: the dataset cannot be read.
        EmbodiedError: the start of an episode does not fit the worlds.
    """
    with Dataset(path) as dataset:
        recorded = dataset.header.metadata
        if numbers is None:
            numbers = range(len(dataset))

        worlds = make_worlds(recorded)
        try:
            present = worlds.metadata()
            differences = tuple(key for key in CAUSES if present[key] != recorded[key])

            reports: list[ReplayReport] = []
            for first in range(0, len(numbers), worlds.num_worlds):
                batch = numbers[first : first + worlds.num_worlds]
                reports += _replay_batch(dataset, worlds, batch, differences)
            return reports
        finally:
            worlds.close()


def _replay_batch(
    dataset: Dataset,
    worlds: Worlds,
    numbers: Sequence[int],
    differences: tuple[str, ...],
) -> list[ReplayReport]:
    """Replays at most one episode per world, all at once."""
    episodes = [dataset.episode(number, images=False) for number in numbers]
    mismatch_ticks = _first_mismatches(worlds, episodes)

    reports = []
    for number, episode, mismatch_tick in zip(
        numbers, episodes, mismatch_ticks, strict=True
    ):
        reports.append(
            ReplayReport(
                number=number,
                seed=episode.meta.seed,
                steps=len(episode.streams["action"].tick),
                first_mismatch_tick=mismatch_tick,
                differences=differences,
            )
        )
    return reports


def _first_mismatches(worlds: Worlds, episodes: list[Episode]) -> list[int | None]:
    """Returns the tick of each episode's first state that differs; None without one."""
    # Worlds without an episode of their own replay the first one as well.
    spare_worlds = worlds.num_worlds - len(episodes)
    running = episodes + episodes[:1] * spare_worlds
    for world, episode in enumerate(running):
        worlds.begin_recorded(world, _start_of(episode))

    actions = [episode.streams["action"] for episode in running]
    checksums = [episode.streams["checksum"] for episode in running]
    lengths = np.array([len(stream.tick) for stream in actions])
    mismatch_ticks: list[int | None] = [None] * len(running)

    for step in range(lengths.max()):
        # A world whose episode is over repeats the last action, and is not compared.
        rows = np.minimum(step, lengths - 1)
        worlds.step(_values_at(actions, rows))

        differs = worlds.checksum() != _values_at(checksums, rows)
        for world in np.flatnonzero(differs & (step < lengths)).tolist():
            if mismatch_ticks[world] is None:
                mismatch_ticks[world] = int(checksums[world].tick[step])

    return mismatch_ticks[: len(episodes)]


def _start_of(episode: Episode) -> EpisodeStart:
    return EpisodeStart(
        episode.meta.seed,
        episode.start_state,
        dict(episode.start_fields),
        dict(episode.meta.variation),
    )


def _values_at(streams: list[Stream], rows: np.ndarray) -> np.ndarray:  # (N, ...)
    """Returns row `rows[i]` of stream i, for all N streams."""
    return np.stack(
        [stream.value[row] for stream, row in zip(streams, rows, strict=True)]
    )
