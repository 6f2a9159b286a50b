"""Demonstrations: a policy's episodes into a dataset, by any number of processes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embodied.datasets.recorder import Recorder
from embodied.datasets.schema import Header
from embodied.datasets.storage import parts_folder
from embodied.datasets.writer import EpisodeWriter, Mode
from embodied.envs.worlds import Worlds
from embodied.policies.catalog import Player
from embodied.rollout.rollout import EpisodeResult
from embodied.rollout.shards import Report, Stage, Workers


@dataclass(frozen=True)
class Recording:
    """The work of one process: it takes part in a collection that is under way."""

    player: Player
    path: Path
    header: Header

    def __call__(self, seeds: Sequence[int], report: Report) -> list[EpisodeResult]:
        with EpisodeWriter(self.path, self.header, "join") as writer:
            return self.player.play(
                seeds, [Recorder(writer, self.header.record_hz)], report
            )


def collection_header(player: Player, record_hz: int) -> Header:
    """What is true of every episode that this player is recorded in."""
    worlds = Worlds(player.config)
    try:
        name = (
            f"{player.source}, action noise {player.noise:g}"
            if player.noise
            else player.source
        )
        return Header(
            worlds.metadata(),
            name,
            record_hz,
            player.dual.planner_hz if player.dual else None,
        )
    finally:
        worlds.close()


def collect(
    recording: Recording,
    seeds: Sequence[int],
    mode: Mode,
    workers: Workers,
    stage: Stage,
) -> list[EpisodeResult]:
    """Records an episode for each seed that is not yet there; failures too, labelled.
    Returns what came of these.

    When something stops it, the episodes that are whole stay, and mode `resume` goes on
    with the others; the file is the same in the end.

    Raises:
        DatasetError: something is at the path that `mode` does not allow for.
        EmbodiedError: what the worlds or a process refuse.
    """
    writer = EpisodeWriter(recording.path, recording.header, mode)
    missing = [seed for seed in seeds if seed not in writer.seeds]
    try:
        with stage(f"collect {recording.player.config.level}", len(missing)) as report:
            results = workers.run(recording, missing, report)
    except BaseException:
        with contextlib.suppress(OSError):  # it holds episodes
            parts_folder(recording.path).rmdir()
        raise
    writer.close()
    return results
