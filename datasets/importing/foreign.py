"""Another tool's dataset in a common form, and its conversion to a dataset of ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.datasets.h5_files import write_text
from embodied.datasets.importing.action_range import ActionRange
from embodied.datasets.masks import default_masks
from embodied.datasets.schema import (
    ACTIONS_MODE,
    H5,
    IMAGE_SUFFIX,
    IMPORTED_FROM,
    DatasetError,
    Episode,
    EpisodeMeta,
    Header,
    Stream,
)
from embodied.datasets.storage import replacing, write_episode, write_masks
from embodied.wording import counted

UNKNOWN_POLICY = "imported"
# The arrays whose units depend on the tool that recorded them.
UNKNOWN_UNITS = (
    "obs/agent_pos",
    "obs/environment_state",
    "streams/agent_pos/value",
    "states",
)


@dataclass(frozen=True)
class ForeignSet:
    """The properties that all episodes of another tool's dataset share.

    Attributes:
        origin: the name of the foreign format.
        hz: frames per second.
        name: the name of the task, or of the dataset if the dataset names no task.
        robot: the robot's name; may be empty.
        agent_layout: (name, width) of each part of the proprioception.
        state_layout: (name, width) of each part of the privileged state.
        action_names: the names of the elements of an action.
        cameras: the names of the cameras.
        header: the header of our file from which the dataset was exported; None if the
            dataset was not exported from a file of ours.
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
        agent_pos: (F, P) the proprioception.
        environment_state: (F, S) the privileged state; S may be 0.
        images: the images (F, H, W, 3) uint8 of each camera, by name.
        actions: (F, A) the actions, in any unit.
        rewards: (F,) the rewards.
        success: (F,) bool, whether the task was done at the end of each frame's period;
            None if unknown.
        states: (F, D) the physics state; D may be 0.
        instruction: the task in words.
        note: the episode's row in the table of our file from which the dataset was
            exported (`EpisodeMeta` as JSON values); None if the dataset was not exported
            from a file of ours.
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


def write_import(
    foreign: ForeignSet,
    episodes: Iterable[ForeignEpisode],
    actions: ActionRange,
    target: Path,
    on_written: Callable[[int], None],
) -> None:
    """Writes the episodes of another tool's dataset to a file of ours.

    Args:
        foreign: the properties that all episodes share.
        episodes: the episodes, in the order in which they are written.
        actions: the range of all actions, which becomes [-1, 1].
        target: the file to write, or to replace.
        on_written: a function that is called with 1 after each episode.

    Raises:
        DatasetError: an episode cannot be read, or `write_episode` refuses it.
        WriteError: the file cannot be written.
    """
    # the time of a frame is a whole tick, and there are PHYSICS_HZ ticks per second
    if not 1 <= foreign.hz <= PHYSICS_HZ:
        raise DatasetError(
            f"a file of ours has 1 to {PHYSICS_HZ} frames per second, not {foreign.hz}"
        )

    metas: list[EpisodeMeta] = []
    seeds: set[int] = set()
    with replacing(target, import_header(foreign, actions), target.parent) as new:
        for number, foreign_episode in enumerate(episodes):
            episode = as_episode(foreign_episode, actions, foreign.hz, number)
            if episode.meta.seed in seeds:
                raise DatasetError(f"seed {episode.meta.seed} occurs twice")
            seeds.add(episode.meta.seed)
            write_episode(new.h5["data"], f"demo_{number}", episode)
            if foreign.header is None:
                _mark_units(new.h5[f"data/demo_{number}"])
            metas.append(episode.meta)
            new.end_episode()
            on_written(1)
        new.h5["data"].attrs["total"] = sum(meta.num_samples for meta in metas)
        write_masks(new.h5, default_masks(metas))


def _mark_units(demo: H5) -> None:
    """Says of the vectors of an episode that their units are unknown.

    Our units are written with each array, but other tools store none.
    """
    for name in UNKNOWN_UNITS:
        if name in demo:
            write_text(demo[name], "unit", "unknown")


def import_header(foreign: ForeignSet, actions: ActionRange) -> Header:
    """Returns the header of the file that an import writes.

    If the dataset was exported from a file of ours, this is the header of that file, apart
    from the entries on streams and executed actions, which an export does not contain.

    Args:
        foreign: the properties that all imported episodes share.
        actions: the range of all actions.

    Raises:
        DatasetError: the header that our export noted is damaged.
    """
    config: dict[str, Any] = {"task": foreign.name, "robot": foreign.robot}
    metadata: dict[str, Any] = {
        "env_id": f"imported/{foreign.name}",
        "task": foreign.name,
        "robot": foreign.robot,
        # ticks of our clock: `as_episode` converts the times of frames to them
        "physics_hz": PHYSICS_HZ,
        "agent_layout": foreign.agent_layout,
        "state_layout": foreign.state_layout,
        "joint_interface": actions.interface(foreign.action_names),
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

    # Nothing is known between frames, so the streams have one row per frame, and the
    # control rate is the frame rate. A file of ours has two interfaces: `joint_interface`
    # for the actions to learn, `action_interface` for the executed actions. As an export
    # lacks the executed actions, the actions to learn are stored as executed actions, too,
    # and both interfaces are the same.
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
    """Converts a foreign episode to the form of our datasets.

    The streams have one row per frame, because nothing is known between frames.

    Args:
        foreign: the episode to convert.
        actions: the range of all actions, which becomes [-1, 1].
        hz: frames per second.
        number: the number of the episode, which is also its seed unless our export noted
            another seed.

    Raises:
        DatasetError: the episode has no frame, its arrays differ in length or are not
            finite, or its success is unknown; or the note of our export is damaged.
    """
    count = len(foreign.actions)
    _check_arrays(foreign, number)
    normalized = actions.to_normalized(foreign.actions)
    agent_pos = foreign.agent_pos.astype(np.float32)
    rewards = foreign.rewards.astype(np.float32)
    success = foreign.success
    if success is None:
        raise DatasetError(f"episode {number} does not say whether it succeeded")

    # the observations of the frames; an environment state without columns is left out
    obs = {"agent_pos": agent_pos}
    if foreign.environment_state.shape[1]:
        obs["environment_state"] = foreign.environment_state.astype(np.float32)
    for camera, pictures in foreign.images.items():
        obs[camera + IMAGE_SUFFIX] = pictures

    # (F + 1,) the ticks at which frame periods begin, and the end of the last one
    ticks = np.arange(count + 1) * PHYSICS_HZ // hz
    period_start = ticks[:-1]
    period_end = ticks[1:]
    meta = _meta(foreign, rewards, success, hz=hz, number=number)
    return Episode(
        meta=meta,
        obs=obs,
        actions=normalized,
        rewards=rewards,
        states=foreign.states.astype(np.float64),
        frame_tick=period_start,
        image_tick=period_start if foreign.images else None,
        streams={
            "action": Stream(period_start, normalized),
            "intended": Stream(period_start, normalized),
            "agent_pos": Stream(period_start, agent_pos),
            "reward": Stream(period_end, rewards.astype(np.float64)),
            "success": Stream(period_end, success.astype(np.uint8)),
        },
        plans={},
        start_state=np.zeros(0),
        start_fields={},
    )


def _check_arrays(foreign: ForeignEpisode, number: int) -> None:
    """Raises DatasetError unless all arrays are finite and as long as the actions."""
    count = len(foreign.actions)
    if not count:
        raise DatasetError(f"episode {number} has no frame")

    # the arrays with one row per frame, by the words for them in error messages
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
                f"episode {number} has {counted(count, 'action')}, but "
                f"{counted(len(rows), 'row')} of {name}"
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
    """Returns the episode's row of the table of episodes.

    If our export noted the row, the noted row is returned. Otherwise the row is computed
    from rewards and success. Other tools store no progress, so progress is 1 for success,
    otherwise 0.
    """
    count = len(success)
    if foreign.note is not None:
        return replace(_noted_meta(foreign.note, number), num_samples=count)

    first_success = int(success.argmax())
    return EpisodeMeta(
        seed=number,
        instruction=foreign.instruction,
        success_once=bool(success.any()),
        success_at_end=bool(success[-1]),
        progress_max=float(success.any()),
        progress_end=float(success[-1]),
        reward_sum=float(rewards.sum()),
        duration_s=count / hz,
        # success is known at the end of a frame's period
        time_to_success_s=(first_success + 1) / hz if success.any() else None,
        num_samples=count,
    )


def _noted_meta(note: Mapping[str, Any], number: int) -> EpisodeMeta:
    """Returns the row of the table of episodes that our export noted.

    The note comes from a file that others may have edited, so the types of its values are
    checked. Fields that the note lacks get their defaults.

    Raises:
        DatasetError: a value has a wrong type, or a field without a default is missing.
    """
    # take the fields that the note has, if their types are right
    hints = get_type_hints(EpisodeMeta)
    values: dict[str, Any] = {}
    for f in fields(EpisodeMeta):
        value = note.get(f.name, MISSING)
        if value is MISSING:
            continue
        if not isinstance(value, _json_types(hints[f.name])):
            raise DatasetError(
                f"the note of episode {number} is damaged: {f.name} is {value!r:.60}"
            )
        values[f.name] = value

    try:
        return EpisodeMeta(**values)
    except TypeError as error:
        raise DatasetError(
            f"the note of episode {number} is damaged: {error}"
        ) from error


def _json_types(hint: Any) -> tuple[type, ...]:
    """Returns the Python types that the JSON value of a field of `EpisodeMeta` may have.

    Args:
        hint: the field's type hint, such as `float | None` or `Mapping[str, Any]`.
    """
    # the arguments of a Mapping are types of its keys and values, not alternatives
    if get_origin(hint) is Mapping:
        return (Mapping,)
    members = get_args(hint) or (hint,)  # the types of a union, or the only one
    types = tuple(get_origin(member) or member for member in members)
    # JSON writes 2.0 as 2, which is read as an int
    return (*types, int) if float in types else types


def whole_rate(value: object) -> int | None:
    """Returns a rate in Hz as an int; None if it is not a finite whole number."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if value == int(value) else None


def vector_layout(name: str, names: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Returns (name, width) of the parts of a vector, from the names of its elements.

    Consecutive elements such as `joint_pos.0` and `joint_pos.1` form the part
    `joint_pos`; an element without a number is a part of its own.

    Args:
        name: the name of the vector, which is also the name of parts without a name.
        names: the names of the elements.
    """
    parts: list[tuple[str, int]] = []
    for element in names:
        before_dot, _, after_dot = element.rpartition(".")
        is_numbered = after_dot.isdigit()
        part_name = before_dot if is_numbered else element
        # the element belongs to the part of the element before, or begins a new part
        if is_numbered and parts and parts[-1][0] == part_name:
            width = parts[-1][1]
            parts[-1] = (part_name, width + 1)
        else:
            parts.append((part_name or name, 1))
    return tuple(parts)
