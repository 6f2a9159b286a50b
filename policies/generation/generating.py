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
from embodied.policies.generation.library import Library, Way
from embodied.policies.noise import NoisyPolicy
from embodied.rollout.executor import Executor
from embodied.rollout.rollout import EpisodeResult, Step, rollout
from embodied.rollout.shards import Report, Stage

PLANNER_HZ = 8.0
# A seed that was tried without success leaves an empty file among the parts: this and
# its number.
_FAILED_PREFIX = "failed_"
# The least share of successes that is reckoned with when the next seeds are chosen.
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
        num_envs: how many worlds run at once.
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
            # what is there of these seeds was left by a process that died
            writer.forget(seeds)
            # The task's planner looks on, and says at each moment what is to be done
            # from there: a plan that was made elsewhere, or some time before, would
            # teach a planner that things are not yet as they are.
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
        ways: seed -> the segments of its episode.
    """

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self.ways: dict[int, list[Way]] = {}

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
        self.ways[result.seed] = self._follower.followed_segments(world)


class _Successes:
    """An episode sink that keeps successes, labelled, and notes which seeds failed."""

    def __init__(self, writer: EpisodeWriter, origins: _Origins, source: str) -> None:
        self._writer = writer
        self._origins = origins
        self._source = source

    def write(self, episode: Episode) -> None:
        seed = episode.meta.seed
        ways = self._origins.ways.pop(seed)
        if not episode.meta.success:
            _failed_file(self._writer.path, seed).touch()
            return
        meta = replace(
            episode.meta,
            source_file=self._source,
            source_episode=ways[0].episode,
            source_segments=" ".join(str(way.episode) for way in ways),
        )
        self._writer.write(replace(episode, meta=meta))


@dataclass(frozen=True)
class Generated:
    """What came of generating.

    Attributes:
        kept: how many demonstrations are in the file.
        tried: how many seeds it took, from the first on.
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
        work: what is tried, and where successes are kept.
        wanted: how many demonstrations the file is to have.
        seeds: the seeds that may be tried.
        mode: what to do about a dataset that is there (see `EpisodeWriter`).
        workers: shares out the work.
        stage: reports the progress.

    Raises:
        DatasetError: `mode` does not allow what is at the path.
        EmbodiedError: no seed has succeeded.
        KeyboardInterrupt: says how many episodes are kept.
    """
    writer = EpisodeWriter(work.path, work.header, mode)
    # the seeds of the file itself; parts hold what is not merged into it yet
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
        _forget(work.path)
        raise EmbodiedError(
            f"none of {len(seeds)} tries succeeded, so nothing was written: a source at "
            "the same level, or more demonstrations in it, may help"
        )

    # More may have succeeded than were needed; the file has the first.
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
        merged: seeds of the episodes that were in it before.
        wanted: how many successes there should be.
        seeds: the seeds that may be tried.
    """
    kept = merged | _part_seeds(path)
    failed = {
        int(file.name.removeprefix(_FAILED_PREFIX))
        for file in parts_folder(path).glob(f"{_FAILED_PREFIX}*")
    }
    # a file that was finished before holds the first successes of all seeds up to its last
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
        # as many new tries as should give the missing successes, at the yield so far
        success_share = max(successes / tried, LEAST_YIELD) if tried else 1.0
        needed = (wanted - successes) / success_share
        if successes >= wanted or len(missing) >= needed:
            break
    return missing


def _part_seeds(path: Path) -> set[int]:
    return {part_seed(part) for part in part_files(path)}


def _failed_file(path: Path, seed: int) -> Path:
    return parts_folder(path) / f"{_FAILED_PREFIX}{seed}"


def _forget(path: Path) -> None:
    """Deletes the notes of failed seeds, where nothing else was kept."""
    for file in parts_folder(path).glob(f"{_FAILED_PREFIX}*"):
        file.unlink()
    with contextlib.suppress(OSError):
        parts_folder(path).rmdir()
