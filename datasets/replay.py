"""Running recorded episodes again, to see that the same states come out, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embodied.datasets.reader import Dataset
from embodied.datasets.schema import Episode
from embodied.envs.episodes import EpisodeStart
from embodied.envs.worlds import Worlds

MakeWorlds = Callable[[Mapping[str, Any]], Worlds]
# of the metadata: what explains another outcome
CAUSES = ("model_hash", "versions", "physics_hz")


@dataclass(frozen=True)
class ReplayReport:
    """What came of running an episode again."""

    number: int  # of the episode in the file
    seed: int
    steps: int
    # after the first control step whose state differs; None where none does
    first_mismatch_tick: int | None
    # what of the present worlds is not as it was at the recording
    differences: tuple[str, ...]

    @property
    def identical(self) -> bool:
        return self.first_mismatch_tick is None


def replay(
    path: str | Path, make_worlds: MakeWorlds, numbers: Sequence[int] | None = None
) -> list[ReplayReport]:
    """Run episodes (all, or those of these numbers) from their recorded starts with
    their recorded actions.

    `make_worlds` makes worlds from the file's metadata; as many episodes run at once as
    it makes worlds.

    Raises:
        DatasetError: the file is not a dataset that can be read.
        EmbodiedError: a start doesn't fit the worlds.
    """
    with Dataset(path) as dataset:
        wanted = list(range(len(dataset)) if numbers is None else numbers)
        worlds = make_worlds(dataset.header.metadata)
        try:
            now = worlds.metadata()
            differences = tuple(
                key for key in CAUSES if now[key] != dataset.header.metadata[key]
            )
            reports: list[ReplayReport] = []
            for first in range(0, len(wanted), worlds.num_worlds):
                batch = wanted[first : first + worlds.num_worlds]
                episodes = [dataset.episode(number, images=False) for number in batch]
                for number, episode, tick in zip(
                    batch, episodes, _run(worlds, episodes), strict=True
                ):
                    steps = len(episode.streams["action"].tick)
                    reports.append(
                        ReplayReport(
                            number, episode.meta.seed, steps, tick, differences
                        )
                    )
            return reports
        finally:
            worlds.close()


def _run(worlds: Worlds, episodes: list[Episode]) -> list[int | None]:
    """The tick of each episode's first differing state. Worlds beyond the episodes run
    the first one once more.
    """
    filled = [
        episodes[i] if i < len(episodes) else episodes[0]
        for i in range(worlds.num_worlds)
    ]
    for world, episode in enumerate(filled):
        meta = episode.meta
        worlds.restore(
            world,
            EpisodeStart(
                meta.seed,
                episode.start_state,
                dict(episode.start_fields),
                dict(meta.variation),
            ),
        )
    lengths = np.array([len(episode.streams["action"].tick) for episode in filled])
    mismatch: list[int | None] = [None] * len(filled)
    for step in range(lengths.max()):
        # a world whose episode is over repeats its last action, unjudged
        running = np.minimum(step, lengths - 1)
        worlds.step(
            np.stack(
                [
                    e.streams["action"].value[k]
                    for e, k in zip(filled, running, strict=True)
                ]
            )
        )
        recorded = np.array(
            [
                e.streams["checksum"].value[k]
                for e, k in zip(filled, running, strict=True)
            ]
        )
        for world in np.flatnonzero(
            (worlds.checksum() != recorded) & (step < lengths)
        ).tolist():
            if mismatch[world] is None:
                mismatch[world] = int(filled[world].streams["checksum"].tick[step])
    return mismatch[: len(episodes)]
