"""Replaying recorded episodes, to check that the same states come out bit for bit.

States are compared exactly, by a checksum at each control step. How far they are apart
is told by the positions that the recorded frames hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.datasets.playing import filled, play
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

# Takes the metadata of a dataset, returns worlds to replay it in.
MakeWorlds = Callable[[Mapping[str, Any]], Worlds]
# Is told how many more episodes have been replayed.
OnReplayed = Callable[[int], None]

# The entries of the metadata that may explain why states differ.
CAUSES = ("model_hash", "versions", "physics_hz")
# Settings of the recording that a replay drops: what was observed, which changes no
# state, and on which engine and device, since a replay runs on the default ones.
SEEN = ("obs", "cameras", "camera_hz", "image_size", "engine", "device")


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
        largest_m: the largest deviation of a position at a frame.
        largest_rad: the largest deviation of an angle or orientation at a frame.
        seed_gives_start: whether the seed still gives the recorded start.
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
        """When the states began to differ; None if they never did."""
        if self.first_mismatch_tick is None:
            return None
        return self.first_mismatch_tick / PHYSICS_HZ


def replay_config(metadata: Mapping[str, Any], robot: str | None = None) -> EnvConfig:
    """Returns the config of the worlds that replay a dataset, without cameras.

    Args:
        metadata: of the dataset's header.
        robot: the robot's name or description. A path that a file holds is never
            followed, so a robot by its path must be given.

    Raises:
        DatasetError: the file was imported from another format, or does not say how its
            worlds were made; its robot is not known here; or it was read from files that
            held something else.
        EmbodiedError: its task is not known here.
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
    settings = {name: value for name, value in stored.items() if name not in SEEN}

    named = robot or settings.get("robot")
    if robot is None and not known_members(str(named)):
        raise DatasetError(
            f"it was recorded with the robot {named!r}, which is not known here: name "
            f"its description with --robot; known robots: {', '.join(robot_names())}"
        )
    check_robot(metadata, str(named))
    return EnvConfig.of({**settings, "robot": named})


def check_robot(metadata: Mapping[str, Any], named: str) -> None:
    """Raises DatasetError unless a robot's files hold what they held at the recording.

    Args:
        metadata: of the dataset's header; files of earlier versions, and of robots that
            are composed in Python, know no content of robots.
        named: the robot's name or description.
    """
    recorded = metadata.get("robot_hash")
    if recorded is None:
        return
    robot = get_robot(named)
    if robot.content_hash != recorded:
        raise DatasetError(
            f"it was recorded with the robot {metadata.get('robot')!r} of content "
            f"{_short(recorded)}, and {named} is {robot.name!r} of content "
            f"{_short(robot.content_hash) or 'none'}: bring back the description and the "
            "model files that it was recorded with"
        )


def changes(recorded: Mapping[str, Any], present: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns those of `CAUSES` in which two metadata differ, with their values."""
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
    return [
        f"{name} was {before.get(name, 'not there')}, is {now.get(name, 'not there')}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def _short(value: Any) -> str:
    """Returns a value as text, cut to 12 characters: a hash is still told apart."""
    return str(value)[:12]


def replay(
    path: str | Path,
    make_worlds: MakeWorlds,
    numbers: Sequence[int] | None = None,
    on_replayed: OnReplayed | None = None,
) -> list[ReplayReport]:
    """Replays episodes from their recorded starts with their recorded actions.

    Args:
        path: of the dataset.
        make_worlds: makes the worlds; as many episodes run at once as there are worlds.
        numbers: of the episodes to replay; all by default.
        on_replayed: is called after each batch.

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
    """Replays at most one episode per world, all at once."""
    episodes = [dataset.episode(number, images=False) for number in numbers]
    seed_gives_start = [_seed_gives_start(worlds, episode) for episode in episodes]
    batch = _Batch(worlds, episodes)
    batch.run()

    reports = []
    for i, number in enumerate(numbers):
        reports.append(
            ReplayReport(
                number=number,
                seed=episodes[i].meta.seed,
                steps=len(episodes[i].streams["action"].tick),
                first_mismatch_tick=batch.mismatch_ticks[i],
                differences=differences,
                largest_m=float(batch.largest_m[i]),
                largest_rad=float(batch.largest_rad[i]),
                seed_gives_start=seed_gives_start[i],
            )
        )
    return reports


def _seed_gives_start(worlds: Worlds, episode: Episode) -> bool:
    """Returns whether the episode's seed still gives its recorded start.

    Compared are the sampled values and the physics state. The model's fields are not:
    files of earlier versions may hold, for an object that takes no part in the episode,
    the fields of the episode before.
    """
    worlds.reset(np.array([0]), [episode.meta.seed])
    start = worlds.episode_start(0)
    # a recorded tuple is read back as a list
    same_values = to_json(start.variation) == to_json(episode.meta.variation)
    return same_values and np.array_equal(start.state, episode.start_state)


class _Batch:
    """Episodes that are replayed together, one in each world.

    Attributes:
        mismatch_ticks: (N,) when each world's state first differed; None if it never
            did.
        largest_m: (N,) the largest deviations of positions so far.
        largest_rad: (N,) the largest deviations of angles so far.
    """

    def __init__(self, worlds: Worlds, episodes: Sequence[Episode]) -> None:
        running = filled(worlds, episodes)
        self._worlds = worlds
        self._episodes = running
        self._ticks = [episode.frame_tick for episode in running]
        self._units = np.array(worlds.position_units)
        self.mismatch_ticks: list[int | None] = [None] * len(running)
        self.largest_m = np.zeros(len(running))
        self.largest_rad = np.zeros(len(running))

    def run(self) -> None:
        """Replays the episodes to their ends, and compares their states."""
        for step in play(self._worlds, self._episodes):
            tick = (step.number + 1) * self._worlds.ticks_per_step
            for world in np.flatnonzero(step.differs).tolist():
                if self.mismatch_ticks[world] is None:
                    self.mismatch_ticks[world] = tick

            # as long as all checksums are equal, so are all positions
            if any(mismatch is not None for mismatch in self.mismatch_ticks):
                self._measure(tick, step.counts)

    def _measure(self, tick: int, compared: np.ndarray) -> None:
        """Compares the positions with those of the frames at this tick.

        Args:
            tick: of the present state.
            compared: (N,) bool, the worlds whose episode still runs: only these count.
        """
        states = self._worlds.physics_state()
        # a state is the time, the positions, and then what is not compared
        stop = 1 + len(self._units)
        for world in np.flatnonzero(compared).tolist():
            frame = int(np.searchsorted(self._ticks[world], tick))
            ticks = self._ticks[world]
            if frame == len(ticks) or ticks[frame] != tick:
                continue  # no frame was recorded at this tick

            recorded = self._episodes[world].states[frame, 1:stop]
            apart_m, apart_rad = deviation(states[world, 1:stop], recorded, self._units)
            self.largest_m[world] = max(self.largest_m[world], apart_m)
            self.largest_rad[world] = max(self.largest_rad[world], apart_rad)


def deviation(
    one: np.ndarray, other: np.ndarray, units: np.ndarray
) -> tuple[float, float]:
    """Returns how far two vectors of positions (Q,) are apart, in m and in rad.

    Args:
        one: positions.
        other: positions.
        units: (Q,) "m", "rad" or "quat" of each number; the four of a quaternion stand
            together.
    """
    apart = np.abs(one - other)
    apart_m = float(apart[units == "m"].max(initial=0))
    apart_rad = float(apart[units == "rad"].max(initial=0))

    # The angle between two orientations, of which q and -q are the same: unit
    # quaternions are 2 sin(angle / 4) apart.
    quats = one[units == "quat"].reshape(-1, 4)
    others = other[units == "quat"].reshape(-1, 4)
    chord = np.minimum(
        np.linalg.norm(quats - others, axis=1),
        np.linalg.norm(quats + others, axis=1),
    )
    angles = 4 * np.arcsin(np.clip(chord / 2, 0, 1))
    return apart_m, max(apart_rad, float(angles.max(initial=0)))
