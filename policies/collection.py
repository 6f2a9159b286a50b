"""Collecting demonstrations: a policy's episodes are recorded into a dataset."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embodied.datasets.recorder import Recorder
from embodied.datasets.schema import Header
from embodied.datasets.shipping import run_recording
from embodied.datasets.writer import EpisodeWriter, Mode, kept_when_stopped
from embodied.envs.worlds import Worlds
from embodied.policies.episodes import EpisodeRunner
from embodied.rollout.executor import Executor
from embodied.rollout.rollout import EpisodeResult
from embodied.rollout.shards import Report, Stage


@dataclass(frozen=True)
class Recording:
    """The work of one of the processes that take part in a collection.

    Attributes:
        runner: the policy and its worlds.
        path: of the dataset.
        header: of the dataset, as `collection_header` returns it.
    """

    runner: EpisodeRunner
    path: Path
    header: Header

    def __call__(self, seeds: Sequence[int], report: Report) -> list[EpisodeResult]:
        """Records an episode per seed, in the collection that `collect` has begun.

        What is there of these seeds was left by a process that died before it could tell
        their results: it is recorded again.
        """
        with EpisodeWriter(self.path, self.header, "join") as writer:
            writer.forget(seeds)
            recorder = Recorder(writer, self.header.record_hz)
            return self.runner.run(seeds, [recorder], report)


def collection_header(
    runner: EpisodeRunner, record_hz: int, hindrances: str = ""
) -> Header:
    """Returns the header of a dataset of a policy's episodes.

    Args:
        runner: the policy and its worlds.
        record_hz: frames per second.
        hindrances: how its plans travelled, as it was typed; "" for at once.
    """
    policy = runner.policy
    # the name says what happened to the policy's plans and actions
    if hindrances:
        policy = f"{policy} with {hindrances}"
    if runner.noise:
        policy = f"{policy}, action noise {runner.noise:g}"

    correction = None
    if runner.correction is not None:
        policy = f"{policy}, corrected by {runner.correction.by}"
        correction = runner.correction.to_json()

    # worlds are made for what they say of themselves, and closed at once
    with contextlib.closing(Worlds(runner.config)) as worlds:
        return Header(
            worlds.metadata(),
            policy,
            record_hz,
            runner.dual.planner_hz if runner.dual else None,
            correction=correction,
        )


def collect(
    recording: Recording,
    seeds: Sequence[int],
    mode: Mode,
    workers: Executor,
    stage: Stage,
) -> list[EpisodeResult]:
    """Records an episode for each seed that the dataset does not hold yet.

    Failures are recorded too, and labelled. When something stops the collection, whole
    episodes are kept, and the mode `resume` records the others; the file is the same in
    the end.

    Args:
        recording: what is recorded, and where.
        seeds: one per episode.
        mode: what to do about a dataset that is there (see `EpisodeWriter`).
        workers: shares out the work.
        stage: reports the progress.

    Returns:
        The results of the episodes that were recorded by this call.

    Raises:
        DatasetError: `mode` does not allow what is at the path.
        EmbodiedError: the worlds or a process refuse the work.
        KeyboardInterrupt: says how many episodes are kept.
    """
    # Each process writes its episodes as files of their own, in the folder of parts.
    # This writer owns that folder, and merges them in the end.
    writer = EpisodeWriter(recording.path, recording.header, mode)
    missing = [seed for seed in seeds if seed not in writer.seeds]

    title = f"collect {recording.runner.config.level}"
    with kept_when_stopped(writer, seeds), stage(title, len(missing)) as report:
        at_once = recording.runner.num_envs
        results = run_recording(workers, recording, missing, report, at_once)
    writer.close()
    return results
