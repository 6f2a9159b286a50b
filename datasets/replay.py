"""Replaying recorded episodes, to check that their states are reproduced bit for bit.

States are compared exactly, by a checksum at each control step. If they differ, the
positions stored with the frames show by how much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.datasets.playing import one_per_world, play
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import (
    IMPORTED_FROM,
    DatasetError,
    Episode,
    to_json,
)
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_robot, known_members, robot_names
from embodied.envs.worlds import Worlds

# A function that takes a dataset's metadata, and returns worlds to replay the dataset in.
MakeWorlds = Callable[[Mapping[str, Any]], Worlds]
# A function that is called with the number of episodes replayed since the last call.
OnReplayed = Callable[[int], None]

# The entries of the metadata that may explain why states differ.
CAUSES = ("model_hash", "versions", "physics_hz")
# Recorded settings that a replay does not use: observations do not affect the states, and
# a replay runs on the default engine and device.
NOT_REPLAYED = ("obs", "cameras", "camera_hz", "image_size", "engine", "device")


@dataclass(frozen=True)
class ReplayReport:
    """The outcome of replaying one episode.

    Attributes:
        number: the number of the episode in the file.
        seed: the seed of the episode.
        steps: the number of control steps in the episode.
        first_mismatch_tick: the tick at the end of the first control step whose state
            differs; None if all states are the same.
        differences: the entries of `CAUSES` that have changed since the recording.
        largest_m: the largest deviation of a position at a frame.
        largest_rad: the largest deviation of an angle or orientation at a frame.
        seed_gives_start: whether a reset with the seed still gives the recorded start.
    """

    number: int
    seed: int
    steps: int
    first_mismatch_tick: int | None
    differences: tuple[str, ...]
    largest_m: float = 0.0
    largest_rad: float = 0.0
    seed_gives_start: bool = True

    @property
    def identical(self) -> bool:
        """Whether all states were the same."""
        return self.first_mismatch_tick is None

    @property
    def first_mismatch_s(self) -> float | None:
        """The time at which the states began to differ; None if they never did."""
        if self.first_mismatch_tick is None:
            return None
        return self.first_mismatch_tick / PHYSICS_HZ


def replay_config(metadata: Mapping[str, Any], robot: str | None = None) -> EnvConfig:
    """Returns the config of the worlds that replay a dataset, without cameras.

    Args:
        metadata: the metadata of the dataset's header.
        robot: the robot's name, or the path of its description; None for the recorded
            name. A path in a dataset is never followed, so a robot that was recorded by
            its path must be given here.

    Raises:
        DatasetError: the file was imported from another format, or has no config of
            worlds; the robot is not registered; or the robot's files have changed since
            the recording.
        EmbodiedError: the task is not registered.
    """
    if IMPORTED_FROM in metadata:
        raise DatasetError(
            f"it was imported from {metadata[IMPORTED_FROM]}, which keeps no physics state"
            " to begin from: replay the dataset that it was made of"
        )
    stored = metadata.get("config")
    if not isinstance(stored, Mapping):
        raise DatasetError(
            "the metadata hold no config of worlds, so nothing can be replayed"
        )
    settings = {
        name: value for name, value in stored.items() if name not in NOT_REPLAYED
    }

    # only registered robots are found by the name in the file
    robot_name = robot or settings.get("robot")
    if robot is None and not known_members(str(robot_name)):
        raise DatasetError(
            f"it was recorded with the robot {robot_name!r}, which is not known here: name "
            f"its description with --robot; known robots: {', '.join(robot_names())}"
        )
    check_robot(metadata, str(robot_name))
    return EnvConfig.of({**settings, "robot": robot_name})


def check_robot(metadata: Mapping[str, Any], robot_name: str) -> None:
    """Raises DatasetError if a robot's files have changed since the recording.

    Args:
        metadata: the metadata of the dataset's header.
        robot_name: the robot's name, or the path of its description.
    """
    recorded = metadata.get("robot_hash")
    # earlier versions stored no hash, and robots composed in Python have none
    if recorded is None:
        return
    robot = get_robot(robot_name)
    if robot.content_hash != recorded:
        raise DatasetError(
            f"it was recorded with the robot {metadata.get('robot')!r} of content "
            f"{_short(recorded)}, and {robot_name} is {robot.name!r} of content "
            f"{_short(robot.content_hash) or 'none'}: bring back the description and the "
            "model files that it was recorded with"
        )


def changes(recorded: Mapping[str, Any], present: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the differences of two metadata in the entries `CAUSES`, as sentences.

    Args:
        recorded: the metadata at the recording.
        present: the metadata now.
    """
    sentences = []
    for cause in CAUSES:
        before = recorded.get(cause)
        now = present.get(cause)
        if before == now:
            continue
        if cause == "versions":
            sentences += _version_changes(before or {}, now or {})
        else:
            sentences.append(f"{cause} was {_short(before)}, is {_short(now)}")
    return tuple(sentences)


def _version_changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Returns the packages whose versions differ, as sentences."""
    return [
        f"{name} was {before.get(name, 'not there')}, is {now.get(name, 'not there')}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def _short(value: Any) -> str:
    """Returns the first 12 characters of a value, enough to distinguish hashes."""
    return str(value)[:12]


def replay(
    path: str | Path,
    make_worlds: MakeWorlds,
    numbers: Sequence[int] | None = None,
    on_replayed: OnReplayed | None = None,
) -> list[ReplayReport]:
    """Replays episodes from their recorded starts with their recorded actions.

    Args:
        path: the path of the dataset.
        make_worlds: a function that makes the worlds; N worlds replay N episodes at the
            same time.
        numbers: the numbers of the episodes to replay; all by default.
        on_replayed: a function that is called after each batch.

    Returns:
        A report per episode, in the order of `numbers`.

    Raises:
        DatasetError: the dataset cannot be read.
        EmbodiedError: an episode cannot be played in these worlds, for example because
            its states have another size.
    """
    with Dataset(path) as dataset:
        recorded = dataset.header.metadata
        if numbers is None:
            numbers = range(len(dataset))

        worlds = make_worlds(recorded)
        try:
            # changes since the recording, which may explain differing states
            present = worlds.metadata()
            differences = tuple(
                key for key in CAUSES if present.get(key) != recorded.get(key)
            )

            reports: list[ReplayReport] = []
            for first in range(0, len(numbers), worlds.num_worlds):
                batch = numbers[first : first + worlds.num_worlds]
                reports += _replay_batch(dataset, worlds, batch, differences)
                if on_replayed is not None:
                    on_replayed(len(batch))
            return reports
        finally:
            worlds.close()


def _replay_batch(
    dataset: Dataset,
    worlds: Worlds,
    numbers: Sequence[int],
    differences: tuple[str, ...],
) -> list[ReplayReport]:
    """Replays at most one episode per world, all at the same time.

    Args:
        dataset: the dataset to read the episodes from.
        worlds: the N worlds in which to replay.
        numbers: the numbers of at most N episodes.
        differences: the entries of `CAUSES` that have changed since the recording.
    """
    # compare the starts first, because this resets a world, and a replay begins anew
    episodes = [dataset.episode(number, images=False) for number in numbers]
    seed_gives_start = [_seed_gives_start(worlds, episode) for episode in episodes]
    batch = _Batch(worlds, episodes)
    batch.run()

    reports = []
    for world, number in enumerate(numbers):
        episode = episodes[world]
        reports.append(
            ReplayReport(
                number=number,
                seed=episode.meta.seed,
                steps=len(episode.streams["action"].tick),
                first_mismatch_tick=batch.mismatch_ticks[world],
                differences=differences,
                largest_m=float(batch.largest_m[world]),
                largest_rad=float(batch.largest_rad[world]),
                seed_gives_start=seed_gives_start[world],
            )
        )
    return reports


def _seed_gives_start(worlds: Worlds, episode: Episode) -> bool:
    """Returns whether a reset with the episode's seed still gives its recorded start.

    The sampled values and the physics state are compared, but not the varied model
    fields, because earlier versions recorded wrong fields for an object that took no part
    in an episode: the fields of the previous episode.
    """
    worlds.reset(np.array([0]), [episode.meta.seed])
    start = worlds.episode_start(0)
    # compared as JSON, since a recorded tuple is read back as a list
    same_values = to_json(start.variation) == to_json(episode.meta.variation)
    return same_values and np.array_equal(start.state, episode.start_state)


class _Batch:
    """Episodes that are replayed together, one in each world.

    Attributes:
        mismatch_ticks: (N,) the tick at which each world's state first differed; None if
            it never did.
        largest_m: (N,) the largest deviations of positions so far.
        largest_rad: (N,) the largest deviations of angles so far.
    """

    def __init__(self, worlds: Worlds, episodes: Sequence[Episode]) -> None:
        """Prepares the comparison; nothing is replayed yet."""
        self._worlds = worlds
        self._episodes = one_per_world(worlds, episodes)
        self._frame_ticks = [episode.frame_tick for episode in self._episodes]
        self._units = np.array(worlds.position_units)
        num_worlds = worlds.num_worlds
        self.mismatch_ticks: list[int | None] = [None] * num_worlds
        self.largest_m = np.zeros(num_worlds)
        self.largest_rad = np.zeros(num_worlds)

    def run(self) -> None:
        """Plays the episodes to their ends, and compares their states."""
        for step in play(self._worlds, self._episodes):
            tick = (step.number + 1) * self._worlds.ticks_per_step
            for world in np.flatnonzero(step.differs).tolist():
                if self.mismatch_ticks[world] is None:
                    self.mismatch_ticks[world] = tick

            # equal checksums mean equal positions, so measure only after a mismatch
            if any(mismatch is not None for mismatch in self.mismatch_ticks):
                self._measure(tick, step.counts)

    def _measure(self, tick: int, compared: np.ndarray) -> None:
        """Compares the positions with the positions that the frame of a tick recorded.

        Args:
            tick: the tick of the current state.
            compared: (N,) bool, the worlds to compare, whose episode is still running.
        """
        states = self._worlds.physics_state()
        # a state is the time, then the positions, then parts that are not compared
        stop = 1 + len(self._units)
        for world in np.flatnonzero(compared).tolist():
            ticks = self._frame_ticks[world]
            frame = int(np.searchsorted(ticks, tick))
            # skip the world if no frame was recorded at this tick
            if frame == len(ticks) or ticks[frame] != tick:
                continue

            recorded = self._episodes[world].states[frame, 1:stop]
            played = states[world, 1:stop]
            deviation_m, deviation_rad = deviation(played, recorded, self._units)
            self.largest_m[world] = max(self.largest_m[world], deviation_m)
            self.largest_rad[world] = max(self.largest_rad[world], deviation_rad)


def deviation(
    one: np.ndarray, other: np.ndarray, units: np.ndarray
) -> tuple[float, float]:
    """Returns the largest deviations of two vectors of positions, in m and in rad.

    Args:
        one: (Q,) the first vector.
        other: (Q,) the second vector.
        units: (Q,) "m", "rad" or "quat" for each element; the four elements of a
            quaternion are adjacent.
    """
    differences = np.abs(one - other)
    largest_m = float(differences[units == "m"].max(initial=0))
    largest_rad = float(differences[units == "rad"].max(initial=0))

    # The distance of two unit quaternions is 2 sin(angle / 4), for the angle between the
    # orientations. As q and -q are the same orientation, the smaller distance is taken.
    quats = one[units == "quat"].reshape(-1, 4)
    other_quats = other[units == "quat"].reshape(-1, 4)
    distances = np.minimum(
        np.linalg.norm(quats - other_quats, axis=1),
        np.linalg.norm(quats + other_quats, axis=1),
    )
    angles = 4 * np.arcsin(np.clip(distances / 2, 0, 1))
    return largest_m, max(largest_rad, float(angles.max(initial=0)))
