"""The schema of dataset files: names, shapes and units, and an episode as plain data.

The layout is robomimic's; what this package adds lies in `/meta`, in the attributes of
each demo, and in its groups `streams`, `plans` and `start`:

    /meta                     attributes: schema_version and `Header`
    /mask/<name>              names of demos: success, failure, train, valid
    /data                     attributes: env_args (JSON), total (frames)
    /data/demo_<i>            attributes: `EpisodeMeta`
        obs/agent_pos         (F, P) float32, see the metadata's `agent_layout`
        obs/environment_state (F, S) float32, of privileged policies only
        obs/<camera>_image    (F, H, W, 3) uint8
        obs/<camera>_depth    (F, H, W, 1) uint16 or float32, where it was rendered
        obs/<camera>_segmentation  (F, H, W, 1) uint16, where it was rendered
        actions               (F, J) float32 in [-1, 1], what to learn
        rewards               (F,) float32
        dones                 (F,) uint8, 1 at the last frame
        states                (F, D) float64
        frame_tick            (F,) int64
        image_tick            (F,) int64, with cameras only
        streams/<name>/t      (T,) int64, see `STREAMS` in array_specs.py
        streams/<name>/value  (T, ...)
        streams/intended_by   and executed_by, where several actors take turns
        plans/<name>          (K, ...), of policies that plan only, see `PLAN_TIMES`
                              and `PLAN_PAYLOAD`
        start/state           (D,) float64
        start/fields/<name>   what was varied in this world

Letters: F frames (at `record_hz`), T control steps, K plans, P proprioception size,
S size of the privileged state, A action size, J joint action size (the joints and the
gripper widths), D size of the physics state, E effectors, B bases, H and W pixels.
Ticks count physics steps (`PHYSICS_HZ` per second) since the episode's start.

`actions` are joint targets that the policy intended, without the noise that a
collection may add. The environment of `env_args` takes them as they are, and shows what
a policy that learned from them needs (`as_frame`). `streams/action` is what was really
done, in the control mode and at the control rate of the metadata; a replay plays it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from embodied.errors import EmbodiedError
from embodied.plain import make_fields_plain

# An open h5py file or group. It is not typed, since the type of an item depends on the
# file.
H5 = Any

# Version 1: one goal per plan. Version 2: goals per effector, and goals of bases.
# Version 3: `actions` are what the policy intended, and `env_args` names an environment
# that takes them; before, they were what was done, with the disturbances.
SCHEMA_VERSION = 3
READABLE_VERSIONS = (1, 2, 3)

# Frames per second, unless another rate is asked for: at this rate `actions` alone do
# the tasks (docs/contracts.md, section 7).
RECORD_HZ = 20

IMAGE_SUFFIX = "_image"
DEPTH_SUFFIX = "_depth"
SEGMENTATION_SUFFIX = "_segmentation"
PICTURE_SUFFIXES = (IMAGE_SUFFIX, DEPTH_SUFFIX, SEGMENTATION_SUFFIX)
ENV_TYPE_GYM = 2  # robomimic's EnvType for a Gymnasium environment
IMPORTED_FROM = (
    "imported_from"  # in the metadata of what another tool wrote: its format
)
ACTIONS_MODE = "joint"  # the control mode of `actions`

# Settings that change no episode. They are left out, so that the same seeds give the same
# file.
NOT_STORED = ("num_threads",)
# A longer value is not shown in an error message.
MAX_SHOWN = 60


class DatasetError(EmbodiedError):
    """A dataset cannot be read, or would be written with what it must not hold."""


@dataclass(frozen=True)
class Header:
    """What is true of every episode of a file.

    Attributes:
        metadata: that of the worlds (`Worlds.metadata`), as JSON values.
        policy: the name of the policy that acted.
        record_hz: frames per second.
        planner_hz: plans per second, of policies that plan.
        schema_version: what its arrays mean.
        correction: who corrected the policy, as `by`, and by which rule; None where
            nobody did.
    """

    metadata: Mapping[str, Any]
    policy: str
    record_hz: int = RECORD_HZ
    planner_hz: float | None = None
    schema_version: int = SCHEMA_VERSION
    correction: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        make_fields_plain(self)

    @property
    def metadata_json(self) -> str:
        """The metadata as it is stored."""
        return to_json({**self.metadata, "config": self._stored_config()})

    @property
    def env_args(self) -> dict[str, Any]:
        """The environment that `actions` are for, in the form that robomimic reads.

        `gymnasium.make(env_name, **env_kwargs)` takes them one by one, as they are: the
        same worlds, with joint targets as actions, at the frame rate.
        """
        env_kwargs = self._stored_config()
        env_kwargs.pop("task", None)  # it is part of the id
        env_kwargs["control_mode"] = ACTIONS_MODE
        env_kwargs["control_hz"] = self.record_hz
        try:
            env_name = self.metadata["env_id"]
            env_version = self.metadata["versions"]["embodied-ground"]
        except (KeyError, TypeError) as error:
            raise DatasetError(
                f"the metadata do not say which environment it is (no {error})"
            ) from error
        return {
            "env_name": env_name,
            "type": ENV_TYPE_GYM,
            "env_version": env_version,
            "env_kwargs": env_kwargs,
        }

    def differences(self, other: Header) -> list[str]:
        """Returns what is not the same in both headers, the most telling first.

        An entry reads like "config.level is 'L1' in the one, 'L2' in the other".
        """
        own_entries = self._entries()
        other_entries = other._entries()
        names = sorted(own_entries.keys() | other_entries.keys(), key=_telling)

        differing = []
        for name in names:
            own = own_entries.get(name)
            others = other_entries.get(name)
            if own != others:
                differing.append(_difference(name, own, others))
        return differing

    def _stored_config(self) -> dict[str, Any]:
        """Returns the worlds' config without the settings that change no episode."""
        config = dict(self.metadata.get("config", {}))
        for key in NOT_STORED:
            config.pop(key, None)
        return config

    def _entries(self) -> dict[str, Any]:
        """Returns all entries by name; those of the worlds' config as `config.level`."""
        metadata = json.loads(self.metadata_json)
        config = metadata.pop("config")
        return {
            **metadata,
            **{f"config.{name}": value for name, value in config.items()},
            "policy": self.policy,
            "record_hz": self.record_hz,
            "planner_hz": self.planner_hz,
            "schema_version": self.schema_version,
            "correction": self.correction,
        }


def _telling(name: str) -> tuple[int, bool, str]:
    """Returns the key by which entries are sorted: first what a user chose.

    After that come the other entries of the worlds' config, and then all that is left.
    """
    chosen = ("task", "robot", "policy", "planner_hz", "record_hz")
    place = chosen.index(name) if name in chosen else len(chosen)
    return (place, not name.startswith("config."), name)


def _difference(name: str, own: Any, other: Any) -> str:
    values = [repr(own), repr(other)]
    if max(map(len, values)) > MAX_SHOWN:
        return f"{name} differs"
    return f"{name} is {values[0]} in the one, {values[1]} in the other"


@dataclass(frozen=True)
class EpisodeMeta:
    """One episode's row of the table of episodes, stored as the demo's attributes.

    Fields that are None are not stored. Older files have no safety signals, which are
    the fields from `peak_contact_force_n` to `dropped`.
    """

    seed: int
    instruction: str
    success_once: bool
    success_at_end: bool
    progress_max: float
    progress_end: float
    reward_sum: float
    duration_s: float
    fault: str = ""
    time_to_success_s: float | None = None
    mean_plan_age_s: float | None = None
    peak_contact_force_n: float | None = None
    collisions: int | None = None
    min_joint_margin_rad: float | None = None
    dropped: int | None = None  # the most objects that were dropped at one time
    takeovers: int | None = None  # where somebody corrects a policy only
    takeover_s: float | None = None
    operator: str | None = None  # of takes by hand only
    device: str | None = None
    marked: bool | None = None
    variation: Mapping[str, Any] = field(default_factory=dict)  # sampled values
    # Only of an episode that was generated from recorded ones: the file with these, the
    # number of the one that it follows, and for each of its segments the number of the
    # episode that it is from, separated by spaces.
    source_file: str | None = None
    source_episode: int | None = None
    source_segments: str | None = None
    # Number of frames. It must stay the last field: it is written last, and a demo
    # without it is not whole.
    num_samples: int = 0

    @property
    def success(self) -> bool:
        """Whether it is a demonstration to learn from: done at the end, no fault."""
        return self.success_at_end and not self.fault


@dataclass(frozen=True)
class Stream:
    """Values of one kind over time."""

    tick: np.ndarray  # (T,) int64
    value: np.ndarray  # (T, ...)


@dataclass(frozen=True)
class Episode:
    """A whole episode as it is written and read.

    Attributes:
        meta: its row of the table.
        obs: what the frames show: agent_pos, environment_state, <camera>_image, and
            what `data render` adds: <camera>_depth, <camera>_segmentation.
        actions: (F, J) float32 in [-1, 1], the normalised joint target that the policy
            intended for the end of the frame's period, which lasts until the next frame.
            Before schema version 3 it is the target that was reached, disturbances
            included.
        rewards: (F,) float32, at the end of the frame's period.
        states: (F, D) float64, the full physics state at the frame.
        frame_tick: (F,) int64, when the frame was.
        image_tick: (F,) int64, when its images were taken; None without cameras.
        streams: by the names of `STREAMS`, and of `STREAMS_OF_ACTORS` where several
            actors take turns.
        plans: (K, ...) by the names of `PLAN_TIMES` and `PLAN_PAYLOAD`; empty if the
            policy makes none.
        start_state: (D,) float64, the physics state to begin from.
        start_fields: what was varied in this world; names may hold slashes.
    """

    meta: EpisodeMeta
    obs: Mapping[str, np.ndarray]
    actions: np.ndarray
    rewards: np.ndarray
    states: np.ndarray
    frame_tick: np.ndarray
    image_tick: np.ndarray | None
    streams: Mapping[str, Stream]
    plans: Mapping[str, np.ndarray]
    start_state: np.ndarray
    start_fields: Mapping[str, np.ndarray]


def is_picture_key(key: str) -> bool:
    """Returns whether an array of frames holds pictures: colours, depth, or things.

    Args:
        key: its name, such as `front_image` or `obs/front_image`.
    """
    return key.endswith(PICTURE_SUFFIXES)


def as_frame(observation: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns an environment's observation under the keys that a frame has in a file.

    Args:
        observation: of a Gymnasium environment of one world.
    """
    frame = {
        key: value
        for key, value in observation.items()
        if key in ("agent_pos", "environment_state")
    }
    for camera, image in observation.get("pixels", {}).items():
        frame[f"{camera}{IMAGE_SUFFIX}"] = image
    return frame


def to_json(value: Mapping[str, Any]) -> str:
    """Returns the JSON text of a value, the same for any order of its keys."""
    return json.dumps(value, sort_keys=True, allow_nan=False)
