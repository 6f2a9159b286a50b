"""What another tool's dataset holds, and how it becomes a file of ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.datasets.masks import default_masks
from embodied.datasets.schema import (
    ACTIONS_MODE,
    IMAGE_SUFFIX,
    IMPORTED_FROM,
    DatasetError,
    Episode,
    EpisodeMeta,
    Header,
    Stream,
)
from embodied.datasets.storage import replacing, write_episode, write_masks

UNKNOWN_POLICY = "imported"
GROUP = "action"  # of the elements of a foreign action


@dataclass(frozen=True)
class ForeignSet:
    """What is true of every episode of another tool's dataset.

    Attributes:
        origin: the format, in words.
        hz: frames per second.
        name: of the task, or what stands for it.
        robot: its name; may be empty.
        agent_layout: (name, width) of the parts of the proprioception.
        state_layout: (name, width) of the parts of the privileged state.
        action_names: of the elements of an action.
        cameras: their names.
        header: if the dataset was exported from a file of ours, that file's header;
            else None.
    """

    origin: str
    hz: int
    name: str
    robot: str
    agent_layout: tuple[tuple[str, int], ...]
    state_layout: tuple[tuple[str, int], ...]
    action_names: tuple[str, ...]
    cameras: tuple[str, ...]
    header: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ForeignEpisode:
    """An episode of another tool's dataset.

    Attributes:
        agent_pos: (F, P).
        environment_state: (F, S); S may be 0.
        images: camera -> (F, H, W, 3) uint8.
        actions: (F, A), in any unit.
        rewards: (F,).
        success: (F,) bool at the end of each frame's period; None if it is not said.
        states: (F, D); D may be 0.
        instruction: what was to be done.
        note: if the dataset was exported from a file of ours, the episode's row in that
            file's table (`EpisodeMeta` as JSON values); else None.
    """

    agent_pos: np.ndarray
    environment_state: np.ndarray
    images: Mapping[str, np.ndarray]
    actions: np.ndarray
    rewards: np.ndarray
    success: np.ndarray | None
    states: np.ndarray
    instruction: str
    note: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ActionRange:
    """The values of foreign actions that become -1 and 1."""

    low: np.ndarray  # (A,)
    high: np.ndarray  # (A,)

    @classmethod
    def of(cls, actions: Iterable[np.ndarray]) -> ActionRange:
        """Returns the extent of actions (F, A); [-1, 1] if none is beyond that.

        Raises:
            DatasetError: there is none; they are of several widths; or a value is not
                finite.
        """
        lows = []
        highs = []
        for number, values in enumerate(actions):
            if not np.isfinite(values).all():
                raise DatasetError(f"actions of episode {number} hold NaN or infinity")
            lows.append(values.min(axis=0))
            highs.append(values.max(axis=0))
        if len({low.shape for low in lows}) != 1:
            raise DatasetError("there are no actions, or they are of several widths")

        low = np.min(lows, axis=0).astype(np.float64)
        high = np.max(highs, axis=0).astype(np.float64)
        if (low >= -1).all() and (high <= 1).all():
            return cls(np.full_like(low, -1), np.full_like(high, 1))
        # An element that never changes becomes 0: its range is 1 either way.
        still = low == high
        return cls(np.where(still, low - 1, low), np.where(still, high + 1, high))

    def to_normalized(self, actions: np.ndarray) -> np.ndarray:
        """Returns actions (F, A) in [-1, 1]; those that are so already stay as they are."""
        half = (self.high - self.low) / 2
        if (half == 1).all() and (self.low == -1).all():
            return actions.astype(np.float32)
        normalized = (actions - (self.low + half)) / half
        return np.clip(normalized, -1, 1).astype(np.float32)


def write_import(
    foreign: ForeignSet,
    episodes: Iterable[ForeignEpisode],
    actions: ActionRange,
    target: Path,
    on_written: Callable[[int], None],
) -> None:
    """Writes the episodes of another tool's dataset to a file of ours.

    Args:
        foreign: what is true of all of them.
        episodes: in order.
        actions: their range.
        target: the file to write, or to replace.
        on_written: is called after each episode.

    Raises:
        DatasetError: an episode cannot be read, or is not as `write_episode` demands.
        WriteError: the file cannot be written.
    """
    if not 1 <= foreign.hz <= PHYSICS_HZ:
        raise DatasetError(
            f"a file of ours has 1 to {PHYSICS_HZ} frames per second, not {foreign.hz}"
        )

    metas: list[EpisodeMeta] = []
    seeds: set[int] = set()
    with replacing(target, import_header(foreign, actions), target.parent) as new:
        for number, each in enumerate(episodes):
            episode = as_episode(each, actions, foreign.hz, number)
            if episode.meta.seed in seeds:
                raise DatasetError(f"seed {episode.meta.seed} occurs twice")
            seeds.add(episode.meta.seed)
            write_episode(new.h5["data"], f"demo_{number}", episode)
            metas.append(episode.meta)
            new.check()
            on_written(1)
        new.h5["data"].attrs["total"] = sum(meta.num_samples for meta in metas)
        write_masks(new.h5, default_masks(metas))


def import_header(foreign: ForeignSet, actions: ActionRange) -> Header:
    """Returns the header of a file of ours that holds a foreign dataset."""
    interface = _interface(foreign, actions)
    config: dict[str, Any] = {"task": foreign.name, "robot": foreign.robot}
    metadata: dict[str, Any] = {
        "env_id": f"imported/{foreign.name}",
        "task": foreign.name,
        "robot": foreign.robot,
        "physics_hz": PHYSICS_HZ,
        "agent_layout": foreign.agent_layout,
        "state_layout": foreign.state_layout,
        "joint_interface": interface,
        "versions": {"embodied-ground": version("embodied-ground")},
    }
    policy = UNKNOWN_POLICY
    if foreign.header is not None:
        try:
            metadata |= foreign.header["metadata"]
            config = dict(metadata["config"])
            policy = str(foreign.header["policy"])
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(
                f"the notes of our export are damaged: {error!r}"
            ) from error

    # The streams have a row per frame, so the control rate is the frame rate, and their
    # actions are those of the frames.
    config |= {
        "control_mode": ACTIONS_MODE,
        "control_hz": foreign.hz,
        "cameras": list(foreign.cameras),
    }
    metadata |= {
        "config": config,
        "action_interface": metadata["joint_interface"],
        IMPORTED_FROM: foreign.origin,
    }
    return Header(metadata, policy, record_hz=foreign.hz)


def as_episode(
    foreign: ForeignEpisode, actions: ActionRange, hz: int, number: int
) -> Episode:
    """Returns a foreign episode as one of ours.

    Its streams have a row per frame, since nothing is known of what was between.

    Raises:
        DatasetError: it has no frame, or its arrays are not of one length and finite; or
            the notes of our export are damaged.
    """
    count = len(foreign.actions)
    _check(foreign, number)
    normalized = actions.to_normalized(foreign.actions)
    agent_pos = foreign.agent_pos.astype(np.float32)
    rewards = foreign.rewards.astype(np.float32)
    success = foreign.success
    if success is None:
        raise DatasetError(f"episode {number} does not say whether it succeeded")

    obs = {"agent_pos": agent_pos}
    if foreign.environment_state.shape[1]:
        obs["environment_state"] = foreign.environment_state.astype(np.float32)
    for camera, pictures in foreign.images.items():
        obs[camera + IMAGE_SUFFIX] = pictures

    # (F + 1,) when each frame's period begins, and when the last one ends
    ticks = np.arange(count + 1) * PHYSICS_HZ // hz
    before = ticks[:-1]
    after = ticks[1:]
    meta = _meta(foreign, rewards, success, hz, number)
    return Episode(
        meta=meta,
        obs=obs,
        actions=normalized,
        rewards=rewards,
        states=foreign.states.astype(np.float64),
        frame_tick=before,
        image_tick=before if foreign.images else None,
        streams={
            "action": Stream(before, normalized),
            "intended": Stream(before, normalized),
            "agent_pos": Stream(before, agent_pos),
            "reward": Stream(after, rewards.astype(np.float64)),
            "success": Stream(after, success.astype(np.uint8)),
        },
        plans={},
        start_state=np.zeros(0),
        start_fields={},
    )


def _check(foreign: ForeignEpisode, number: int) -> None:
    """Raises DatasetError unless arrays are finite, with a row for each action."""
    count = len(foreign.actions)
    if not count:
        raise DatasetError(f"episode {number} has no frame")

    arrays = {
        "agent_pos": foreign.agent_pos,
        "environment_state": foreign.environment_state,
        "rewards": foreign.rewards,
        "states": foreign.states,
        **{f"pictures of {name}": rows for name, rows in foreign.images.items()},
    }
    for name, rows in arrays.items():
        if len(rows) != count:
            raise DatasetError(
                f"episode {number} has {count} actions, but {len(rows)} rows of {name}"
            )
        if rows.dtype.kind == "f" and not np.isfinite(rows).all():
            raise DatasetError(f"{name} of episode {number} hold NaN or infinity")


def _meta(
    foreign: ForeignEpisode,
    rewards: np.ndarray,
    success: np.ndarray,
    hz: int,
    number: int,
) -> EpisodeMeta:
    """Returns the row of the table: as our export noted it, else of what is known.

    Other tools know no progress: it is 1 for success, else 0.
    """
    count = len(success)
    if foreign.note is not None:
        return replace(_noted_meta(foreign.note, number), num_samples=count)

    first = int(success.argmax())
    return EpisodeMeta(
        seed=number,
        instruction=foreign.instruction,
        success_once=bool(success.any()),
        success_at_end=bool(success[-1]),
        progress_max=float(success.any()),
        progress_end=float(success[-1]),
        reward_sum=float(rewards.sum()),
        duration_s=count / hz,
        time_to_success_s=(first + 1) / hz if success.any() else None,
        num_samples=count,
    )


def _noted_meta(note: Mapping[str, Any], number: int) -> EpisodeMeta:
    """Returns the row of the table that our export noted beside an episode."""
    hints = get_type_hints(EpisodeMeta)
    known: dict[str, Any] = {}
    for f in fields(EpisodeMeta):
        value = note.get(f.name, MISSING)
        if value is MISSING:
            continue
        if not isinstance(value, _kinds_of(hints[f.name])):
            raise DatasetError(
                f"the note of episode {number} is damaged: {f.name} is {value!r:.60}"
            )
        known[f.name] = value

    try:
        return EpisodeMeta(**known)
    except TypeError as error:
        raise DatasetError(
            f"the note of episode {number} is damaged: {error}"
        ) from error


def _kinds_of(hint: Any) -> tuple[type, ...]:
    """Returns the types that JSON has for a field, such as `float | None`."""
    kinds = tuple(get_origin(kind) or kind for kind in get_args(hint) or (hint,))
    if get_origin(hint) is Mapping:
        kinds = (Mapping,)
    # a whole number is written without a point
    return (*kinds, int) if float in kinds else kinds


def _interface(foreign: ForeignSet, actions: ActionRange) -> dict[str, Any]:
    """Returns what the elements of a foreign action mean, as far as it is known."""
    group = {
        "name": GROUP,
        "labels": list(foreign.action_names),
        "unit": "1",
        "frame": "unknown",
        "low": actions.low.tolist(),
        "high": actions.high.tolist(),
    }
    return {"mode": ACTIONS_MODE, "groups": [group]}


def whole_rate(value: object) -> int | None:
    """Returns a rate in Hz, which must be a whole number; None if it is not one."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if value == int(value) else None


def vector_layout(name: str, names: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Returns the layout of a vector whose elements have names like `joint_pos.0`.

    Args:
        name: of the vector, which stands for elements without a name.
        names: of the elements.
    """
    parts: list[tuple[str, int]] = []
    for each in names:
        # `joint_pos.0` is an element of `joint_pos`; elements in a row are one part
        stem = each.rpartition(".")[0] if each.rpartition(".")[2].isdigit() else each
        if parts and parts[-1][0] == stem and each != stem:
            parts[-1] = (stem, parts[-1][1] + 1)
        else:
            parts.append((stem or name, 1))
    return tuple(parts)
