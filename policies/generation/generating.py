"""Generates demonstrations: tries episodes, and keeps those that succeed."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from embodied.core import Observation
from embodied.datasets.recorder import Recorder
from embodied.datasets.schema import Episode, Header
from embodied.datasets.shipping import run_recording
from embodied.datasets.storage import part_file, part_files, part_seed, parts_folder
from embodied.datasets.writer import EpisodeWriter, Mode, tidied_when_stopped
from embodied.envs.config import EnvConfig
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.generation.follower import Follower
from embodied.policies.generation.library import Library, LibrarySegment
from embodied.policies.noise import NoisyPolicy
from embodied.rollout.executor import Executor
from embodied.rollout.rollout import EpisodeResult, Step, rollout
from embodied.rollout.shards import Report, Stage
from embodied.wording import counted

PLANNER_HZ = 8.0
# A seed that was tried without success leaves an empty file among the parts, whose name is
# this prefix and the seed.
_FAILED_PREFIX = "failed_"
# Seeds are tried in rounds, each as long as the share of successes so far suggests. The share
# is taken to be at least this, so that few successes do not lead to a very long round.
LEAST_SUCCESS_SHARE = 0.25


@dataclass(frozen=True)
class Generation:
    """The work of each of the processes that try seeds.

    Attributes:
        library: the segments to follow.
        config: the config of the worlds.
        source: the name of the file with the demonstrations.
        path: the path of the dataset to generate.
        header: the header of that dataset, as `generation_header` returns it.
        num_envs: the number of worlds that each process runs at once.
        noise: the standard deviation of shoves (see `NoisyPolicy`); 0 for no shoves.
    """

    library: Library
    config: EnvConfig
    source: str
    path: Path
    header: Header
    num_envs: int = 16
    noise: float = 0.0

    def __call__(self, seeds: Sequence[int], report: Report) -> list[EpisodeResult]:
        """Tries each seed, and writes the successful episodes.

        Each episode becomes one file in the dataset's folder of parts; `generate` merges
        these files in the end.

        Args:
            seeds: the episode seeds to try.
            report: a function that is called with the progress of the episodes.

        Returns:
            The results of all episodes, successful or not.
        """
        num_worlds = min(self.num_envs, len(seeds))
        with (
            closing(Worlds(self.config, num_worlds)) as worlds,
            EpisodeWriter(self.path, self.header, "join") as writer,
        ):
            # a process that died may have left files of these seeds
            writer.forget(seeds)
            # The plans to be recorded come from the task's planner, which sees each moment of
            # the new episode. The plans of the source would be wrong: they were made for
            # other positions and times.
            follower = Follower(worlds, self.library)
            planner, _ = worlds.spec.expert(
                worlds.agent_layout, worlds.state_layout, worlds.robot
            )
            grippers = worlds.interface.gripper_elements
            dual_config = DualSystemConfig(
                planner_hz=self.header.planner_hz or PLANNER_HZ,
                gripper_elements=grippers,
            )
            policy: DualSystem | NoisyPolicy = DualSystem(
                planner, follower, dual_config
            )
            if self.noise:
                policy = NoisyPolicy(policy, self.noise, grippers)

            # The recorder hands each ended episode to the sink, which asks `origins` for the
            # episode's segments. Hooks are called in order, so `origins` must be the first.
            origins = _Origins(follower)
            sink = _SuccessSink(writer, origins, self.source)
            recorder = Recorder(sink, self.header.record_hz)
            return rollout(
                worlds, policy, seeds, hooks=[origins, recorder], on_result=report
            )


class _Origins:
    """A hook that remembers which segments each episode has followed.

    Attributes:
        followed: the seed of an ended episode -> the segments that the episode followed.
    """

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self.followed: dict[int, list[LibrarySegment]] = {}

    def on_start(
        self,
        worlds: Worlds,
        ids: np.ndarray,
        indices: np.ndarray,
        observation: Observation,
    ) -> None:
        """Does nothing."""

    def on_step(self, worlds: Worlds, step: Step) -> None:
        """Does nothing."""

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        self.followed[result.seed] = self._follower.followed_segments(world)


class _SuccessSink:
    """An episode sink that writes successful episodes, and marks the seeds that failed."""

    def __init__(self, writer: EpisodeWriter, origins: _Origins, source: str) -> None:
        self._writer = writer
        self._origins = origins
        self._source = source

    def write(self, episode: Episode) -> None:
        """Writes a successful episode and where it comes from, or marks its seed as failed."""
        seed = episode.meta.seed
        segments = self._origins.followed.pop(seed)
        if not episode.meta.success:
            _failed_file(self._writer.path, seed).touch()
            return
        meta = replace(
            episode.meta,
            source_file=self._source,
            source_episode=segments[0].episode,
            source_segments=" ".join(str(segment.episode) for segment in segments),
        )
        self._writer.write(replace(episode, meta=meta))


@dataclass(frozen=True)
class Generated:
    """The result of `generate`.

    Attributes:
        kept: the number of demonstrations in the dataset.
        tried: the number of seeds that were tried for them, in earlier calls too.
        simulated_s: the simulated time of the episodes that this call tried.
    """

    kept: int
    tried: int
    simulated_s: float


def generation_header(
    config: EnvConfig, source: Path, record_hz: int, planner_hz: float, noise: float
) -> Header:
    """Returns the header of a dataset of generated demonstrations.

    Args:
        config: the config of the worlds.
        source: the path of the dataset with the demonstrations to generate from.
        record_hz: frames recorded per second.
        planner_hz: plans per second.
        noise: the standard deviation of what a shove adds to the elements of an action,
            which range from -1 to 1; 0 for no shoves.
    """
    policy = f"generated from {source.name}"
    if noise:
        policy = f"{policy}, action noise {noise:g}"
    with closing(Worlds(config)) as worlds:
        metadata = worlds.metadata()
    # because of the hash, a call that resumes this dataset from another source of the same
    # name is refused
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    metadata["source"] = {"file": source.name, "sha256": digest}
    # converted to JSON and back, so that the metadata equal those read from the file
    metadata = json.loads(json.dumps(metadata))
    return Header(metadata, policy, record_hz=record_hz, planner_hz=planner_hz)


def generate(
    work: Generation,
    wanted: int,
    seeds: range,
    mode: Mode,
    workers: Executor,
    stage: Stage,
) -> Generated:
    """Tries seeds in their order until enough episodes have succeeded.

    The dataset holds the first `wanted` successes. So the same arguments give the same
    file, for any number of processes and interruptions.

    Args:
        work: what each process does; it names the dataset and the config of the worlds.
        wanted: the number of demonstrations that the dataset is to have.
        seeds: the seeds that may be tried.
        mode: how to handle an existing dataset (see `EpisodeWriter`).
        workers: distributes the episodes over processes.
        stage: opens the progress display of a round, given its title and its length.

    Raises:
        DatasetError: `mode` does not allow what is at the path.
        EmbodiedError: no seed has succeeded.
        KeyboardInterrupt: Ctrl-C was pressed; the message says how many were kept.
    """
    writer = EpisodeWriter(work.path, work.header, mode)
    # the seeds in the file itself, without the seeds of parts that are not merged yet
    merged = set(writer.seeds) - _part_seeds(work.path)
    simulated_s = 0.0
    title = f"generate {work.config.level}"

    # try seeds in rounds, until there are enough successes or no seeds are left
    with tidied_when_stopped(writer, seeds, wanted):
        round_seeds = _next_seeds(work.path, merged, wanted, seeds=seeds)
        while round_seeds:
            with stage(title, len(round_seeds)) as report:
                num_envs = work.num_envs
                results = run_recording(workers, work, round_seeds, report, num_envs)
            simulated_s += sum(result.duration_s for result in results)
            round_seeds = _next_seeds(work.path, merged, wanted, seeds=seeds)

    kept = sorted(merged | _part_seeds(work.path))
    if not kept:
        _forget_failed_seeds(work.path)
        raise EmbodiedError(
            f"none of {counted(len(seeds), 'try')} succeeded, so nothing was written: a source at "
            "the same level, or more demonstrations in it, may help"
        )

    # more episodes may have succeeded than were wanted: the first `wanted` go into the file
    surplus = [seed for seed in kept[wanted:] if seed not in merged]
    for seed in surplus:
        part_file(work.path, seed).unlink(missing_ok=True)
    kept = kept[: len(kept) - len(surplus)]
    writer.close()

    # seeds are tried in their order, so all up to the last kept one were tried
    tried = len(seeds) if len(kept) < wanted else kept[-1] - seeds.start + 1
    return Generated(len(kept), tried, simulated_s)


def _next_seeds(path: Path, merged: set[int], wanted: int, seeds: range) -> list[int]:
    """Returns the seeds to try next; none if enough have succeeded, or no seed is left.

    Args:
        path: the path of the dataset.
        merged: the seeds of the episodes that were in the file before this call.
        wanted: the number of successes that are wanted.
        seeds: the seeds that may be tried.
    """
    kept = merged | _part_seeds(path)
    failed = {
        int(file.name.removeprefix(_FAILED_PREFIX))
        for file in parts_folder(path).glob(f"{_FAILED_PREFIX}*")
    }
    # A finished file holds all successes up to its last seed, so the other seeds up to that
    # one have failed.
    last_merged = max(merged, default=seeds.start - 1)

    successes = 0
    tried = 0
    untried: list[int] = []
    for seed in seeds:
        if seed in kept:
            successes += 1
            tried += 1
        elif seed in failed or seed <= last_merged:
            tried += 1
        else:
            untried.append(seed)

        # stop at enough tries for the missing successes, at the share of successes so far
        success_share = 1.0
        if tried:
            success_share = max(successes / tried, LEAST_SUCCESS_SHARE)
        needed_tries = (wanted - successes) / success_share
        if successes >= wanted or len(untried) >= needed_tries:
            break
    return untried


def _part_seeds(path: Path) -> set[int]:
    return {part_seed(part) for part in part_files(path)}


def _failed_file(path: Path, seed: int) -> Path:
    return parts_folder(path) / f"{_FAILED_PREFIX}{seed}"


def _forget_failed_seeds(path: Path) -> None:
    """Deletes the files that mark failed seeds, and their folder if it is then empty."""
    for file in parts_folder(path).glob(f"{_FAILED_PREFIX}*"):
        file.unlink()
    with contextlib.suppress(OSError):
        parts_folder(path).rmdir()
