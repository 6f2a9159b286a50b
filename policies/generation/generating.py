"""Generating demonstrations: episodes are tried, and those that succeed are kept."""

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
from embodied.datasets.writer import EpisodeWriter, Mode, kept_when_stopped
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

PLANNER_HZ = 8.0
# A seed that was tried without success leaves an empty file among the parts, whose name is
# this prefix and the seed.
_FAILED_PREFIX = "failed_"
# The next seeds are chosen as if at least this share of them succeeded, so that few
# successes so far do not lead to a very long round.
LEAST_YIELD = 0.25


@dataclass(frozen=True)
class Generation:
    """The work of one of the processes that try seeds.

    Attributes:
        library: the segments to follow.
        config: the config of the worlds.
        source: name of the file with the demonstrations.
        path: the path of the dataset.
        header: the header of the dataset, as `generation_header` returns it.
        num_envs: the number of worlds that run at once.
        noise: standard deviation of shoves, see `NoisyPolicy`.
    """

    library: Library
    config: EnvConfig
    source: str
    path: Path
    header: Header
    num_envs: int = 16
    noise: float = 0.0

    def __call__(self, seeds: Sequence[int], report: Report) -> list[EpisodeResult]:
        """Tries each seed, and records the successes in a collection that has begun."""
        num_worlds = min(self.num_envs, len(seeds))
        with (
            closing(Worlds(self.config, num_worlds)) as worlds,
            EpisodeWriter(self.path, self.header, "join") as writer,
        ):
            # files of these seeds were left by a process that died
            writer.forget(seeds)
            # The recorded plans are those of the task's planner, made from what it sees at
            # each moment. The plans of the source would be wrong: they were made for other
            # positions and times.
            follower = Follower(worlds, self.library)
            planner, _ = worlds.spec.expert(
                worlds.agent_layout, worlds.state_layout, worlds.robot
            )
            dual = DualSystemConfig(
                planner_hz=self.header.planner_hz or PLANNER_HZ,
                gripper_elements=worlds.interface.gripper_elements,
            )
            policy: DualSystem | NoisyPolicy = DualSystem(planner, follower, dual)
            if self.noise:
                grippers = worlds.interface.gripper_elements
                policy = NoisyPolicy(policy, self.noise, grippers)
            origins = _Origins(follower)
            sink = _Successes(writer, origins, self.source)
            recorder = Recorder(sink, self.header.record_hz)
            return rollout(worlds, policy, seeds, [origins, recorder], report)


class _Origins:
    """A hook that remembers which segments each episode has followed.

    Attributes:
        followed: seed -> the segments that its episode followed.
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


class _Successes:
    """An episode sink that keeps labelled successes, and marks the seeds that failed."""

    def __init__(self, writer: EpisodeWriter, origins: _Origins, source: str) -> None:
        self._writer = writer
        self._origins = origins
        self._source = source

    def write(self, episode: Episode) -> None:
        """Writes a successful episode with its origin; marks the seed of a failed one."""
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
    """The result of generating.

    Attributes:
        kept: the number of demonstrations in the file.
        tried: the number of seeds that were tried for them.
        simulated_s: the simulated time of the episodes that this call tried.
    """

    kept: int
    tried: int
    simulated_s: float


def generation_header(
    config: EnvConfig, source: Path, record_hz: int, planner_hz: float, noise: float
) -> Header:
    """Returns the header of a dataset that is generated from the one at `source`."""
    policy = f"generated from {source.name}"
    if noise:
        policy = f"{policy}, action noise {noise:g}"
    with closing(Worlds(config)) as worlds:
        metadata = worlds.metadata()
    # the hash keeps a later call from going on with another file of the same name
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    metadata["source"] = {"file": source.name, "sha256": digest}
    return Header(json.loads(json.dumps(metadata)), policy, record_hz, planner_hz)


def generate(
    work: Generation,
    wanted: int,
    seeds: range,
    mode: Mode,
    workers: Executor,
    stage: Stage,
) -> Generated:
    """Tries seeds in their order until enough episodes have succeeded.

    The file holds the first `wanted` successes, so the same arguments give the same
    file, however many processes take part and however often it was interrupted.

    Args:
        work: the episodes to try, and the file of the successes.
        wanted: the number of demonstrations that the file is to have.
        seeds: the seeds that may be tried.
        mode: what to do about an existing dataset (see `EpisodeWriter`).
        workers: runs the episodes.
        stage: shows the progress.

    Raises:
        DatasetError: `mode` does not allow what is at the path.
        EmbodiedError: no seed has succeeded.
        KeyboardInterrupt: its message says how many episodes were kept.
    """
    writer = EpisodeWriter(work.path, work.header, mode)
    # the seeds of the file itself, without those of parts that are not merged into it yet
    merged = set(writer.seeds) - _part_seeds(work.path)
    simulated_s = 0.0
    title = f"generate {work.config.level}"

    with kept_when_stopped(writer, seeds, wanted):
        missing = _next_seeds(work.path, merged, wanted, seeds)
        while missing:
            with stage(title, len(missing)) as report:
                results = run_recording(workers, work, missing, report, work.num_envs)
            simulated_s += sum(result.duration_s for result in results)
            missing = _next_seeds(work.path, merged, wanted, seeds)

    kept = sorted(merged | _part_seeds(work.path))
    if not kept:
        _forget_failed_seeds(work.path)
        raise EmbodiedError(
            f"none of {len(seeds)} tries succeeded, so nothing was written: a source at "
            "the same level, or more demonstrations in it, may help"
        )

    # More may have succeeded than were wanted; the file gets the first ones.
    surplus = [seed for seed in kept[wanted:] if seed not in merged]
    for seed in surplus:
        part_file(work.path, seed).unlink(missing_ok=True)
    kept = kept[: len(kept) - len(surplus)]
    writer.close()
    tried = len(seeds) if len(kept) < wanted else kept[-1] - seeds.start + 1
    return Generated(len(kept), tried, simulated_s)


def _next_seeds(path: Path, merged: set[int], wanted: int, seeds: range) -> list[int]:
    """Returns the seeds to try next; none if there are enough successes, or no seeds.

    Args:
        path: the path of the dataset.
        merged: the seeds of the episodes that were in it before.
        wanted: the number of successes that are wanted.
        seeds: the seeds that may be tried.
    """
    kept = merged | _part_seeds(path)
    failed = {
        int(file.name.removeprefix(_FAILED_PREFIX))
        for file in parts_folder(path).glob(f"{_FAILED_PREFIX}*")
    }
    # A finished file holds all successes up to its last seed, so the others up to there
    # have failed.
    last_merged = max(merged, default=seeds.start - 1)

    successes = 0
    tried = 0
    missing: list[int] = []
    needed = float("inf")
    for seed in seeds:
        if seed in kept:
            successes += 1
            tried += 1
        elif seed in failed or seed <= last_merged:
            tried += 1
        else:
            missing.append(seed)
        # enough new tries for the missing successes, at the share of successes so far
        success_share = max(successes / tried, LEAST_YIELD) if tried else 1.0
        needed = (wanted - successes) / success_share
        if successes >= wanted or len(missing) >= needed:
            break
    return missing


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
