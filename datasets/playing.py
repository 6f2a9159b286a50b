"""Playing recorded episodes in worlds, step by step, with their recorded actions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from embodied.datasets.schema import DatasetError, Episode, Stream
from embodied.envs.episodes import EpisodeStart
from embodied.envs.scoring import StepResult
from embodied.envs.worlds import Worlds


@dataclass(frozen=True)
class PlayedStep:
    """One control step of N episodes that are played at the same time.

    Attributes:
        number: the number of the step, from 0.
        result: the result of the step.
        counts: (N,) bool, whether the episode has a step of this number. An episode that
            has ended repeats its last action until all episodes have ended; these
            repetitions do not count.
        is_last: (N,) bool, whether this is the episode's last step.
        differs: (N,) bool, whether the state after the step differs from the recorded
            one; False for a step that does not count.
    """

    number: int
    result: StepResult
    counts: np.ndarray
    is_last: np.ndarray
    differs: np.ndarray


def one_per_world(worlds: Worlds, episodes: Sequence[Episode]) -> list[Episode]:
    """Returns one episode per world; surplus worlds repeat the first episode."""
    spare_worlds = worlds.num_worlds - len(episodes)
    return [*episodes, *([episodes[0]] * spare_worlds)]


def recorded_start(episode: Episode) -> EpisodeStart:
    """Returns the start of a recorded episode."""
    return EpisodeStart(
        seed=episode.meta.seed,
        state=episode.start_state,
        fields=dict(episode.start_fields),
        variation=dict(episode.meta.variation),
    )


def require_playable(worlds: Worlds, episode: Episode) -> None:
    """Raises DatasetError unless an episode can be played in these worlds.

    The episode needs actions, checksums and states whose shapes fit the worlds' robot and
    model.
    """
    where = f"the episode of seed {episode.meta.seed} cannot be played"
    missing = [name for name in ("action", "checksum") if name not in episode.streams]
    if missing:
        raise DatasetError(f"{where}, since it has no streams/{missing[0]}")

    # compare sizes with the robot's actions and the model's states
    actions = episode.streams["action"].value
    width = len(worlds.interface.labels)
    if not len(actions) or actions.shape[1:] != (width,):
        raise DatasetError(
            f"{where}: its actions are {actions.shape}, but this robot takes rows of "
            f"{width} numbers"
        )
    checksums = episode.streams["checksum"].value
    if checksums.shape != (len(actions),):
        raise DatasetError(
            f"{where}: it has {len(actions)} actions, but {len(checksums)} checksums"
        )
    size = worlds.physics_state().shape[1]
    if episode.states.shape[1] != size:
        raise DatasetError(
            f"{where}: its states have {episode.states.shape[1]} numbers, but this "
            f"model's have {size}"
        )


def play(worlds: Worlds, episodes: Sequence[Episode]) -> Iterator[PlayedStep]:
    """Plays one episode in each world, from its recorded start, until all have ended.

    Args:
        worlds: N worlds of the recorded task and robot.
        episodes: N episodes, one per world, see `one_per_world`.

    Yields:
        One entry per control step.

    Raises:
        EmbodiedError: an episode cannot be played, see `require_playable`.
    """
    for world, episode in enumerate(episodes):
        require_playable(worlds, episode)
        worlds.begin_recorded(world, recorded_start(episode))

    actions = [episode.streams["action"] for episode in episodes]
    checksums = [episode.streams["checksum"] for episode in episodes]
    lengths = np.array([len(stream.value) for stream in actions])

    for number in range(lengths.max()):
        # episodes that have ended repeat their last row
        rows = np.minimum(number, lengths - 1)
        result = worlds.step(_values_at(actions, rows))
        counts = number < lengths
        yield PlayedStep(
            number=number,
            result=result,
            counts=counts,
            is_last=np.equal(number, lengths - 1),
            # recorded and present checksums were both computed after the step
            differs=counts & (worlds.checksum() != _values_at(checksums, rows)),
        )


def _values_at(streams: list[Stream], rows: np.ndarray) -> np.ndarray:  # (N, ...)
    """Returns row `rows[i]` of stream i, for all N streams."""
    return np.stack(
        [stream.value[row] for stream, row in zip(streams, rows, strict=True)]
    )
