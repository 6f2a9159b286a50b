"""Collects demonstrations: records a policy's episodes into a dataset."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embodied.datasets.recorder import Recorder
from embodied.datasets.schema import Header
from embodied.datasets.shipping import run_recording
from embodied.datasets.writer import EpisodeWriter, Mode, tidied_when_stopped
from embodied.envs.worlds import Worlds
from embodied.policies.episodes import EpisodeRunner
from embodied.rollout.executor import Executor
from embodied.rollout.rollout import EpisodeResult
from embodied.rollout.shards import Report, Stage


@dataclass(frozen=True)
class Recording:
    """The work of each of the processes of a collection.

    Attributes:
        runner: the policy and its worlds.
        path: the path of the dataset.
        header: the header of the dataset, see `collection_header`.
    """

    runner: EpisodeRunner
    path: Path
    header: Header

    def __call__(self, seeds: Sequence[int], report: Report) -> list[EpisodeResult]:
        """Records one episode per seed, in a collection begun by `collect`.

        Episodes of these seeds that already exist are from a process that died before it
        could report their results, so they are deleted and recorded again.
        """
        # the mode "join" adds files of episodes; `collect` owns the dataset, and merges them
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
        hindrances: the flags for delays and losses of plans, as typed; "" for none.
    """
    # the stored name includes everything that disturbed the policy
    policy = runner.policy
    if hindrances:
        policy = f"{policy} with {hindrances}"
    if runner.noise:
        policy = f"{policy}, action noise {runner.noise:g}"

    correction = None
    if runner.correction is not None:
        policy = f"{policy}, corrected by {runner.correction.by}"
        correction = runner.correction.to_json()

    # the worlds are made only for their metadata
    with contextlib.closing(Worlds(runner.config)) as worlds:
        return Header(
            metadata=worlds.metadata(),
            policy=policy,
            record_hz=record_hz,
            planner_hz=runner.dual.planner_hz if runner.dual else None,
            correction=correction,
        )


def collect(
    recording: Recording,
    seeds: Sequence[int],
    mode: Mode,
    workers: Executor,
    stage: Stage,
) -> list[EpisodeResult]:
    """Records an episode for each seed that is not in the dataset yet.

    Failed episodes are recorded, too, and labelled as such. If the collection is
    interrupted, finished episodes are kept, and the mode `resume` records the others. The
    resulting file is the same as without the interruption.

    Args:
        recording: the work of each process.
        seeds: the seeds of the episodes.
        mode: how to handle an existing dataset (see `EpisodeWriter`).
        workers: distributes the work to processes.
        stage: opens the progress display, given its title and its length.

    Returns:
        The results of the episodes that this call has recorded.

    Raises:
        DatasetError: the mode does not allow for the existing files.
        EmbodiedError: the worlds cannot be made, or a process failed.
        KeyboardInterrupt: Ctrl-C was pressed; the message says how many episodes are kept.
    """
    # Each process writes its episodes as single files to the folder of parts. This writer
    # owns the folder, and merges the files in the end.
    writer = EpisodeWriter(recording.path, recording.header, mode)
    unrecorded = [seed for seed in seeds if seed not in writer.seeds]

    title = f"collect {recording.runner.config.level}"
    with tidied_when_stopped(writer, seeds), stage(title, len(unrecorded)) as report:
        at_once = recording.runner.num_envs
        results = run_recording(
            workers, recording, unrecorded, report=report, at_once=at_once
        )
    writer.close()
    return results
