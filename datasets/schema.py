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
        actions               (F, J) float32 in [-1, 1], the actions to learn
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
        start/fields/<name>   the model fields that were varied in this world

Letters: F frames (at `record_hz`), T control steps, K plans, P proprioception size,
S size of the privileged state, A action size, J joint action size (the joints and the
gripper widths), D size of the physics state, L size of a latent, R rows of a latent
sequence, E effectors, B bases, H and W pixels; in the arrays of plans, H rows of an action
chunk and W waypoints. Ticks count physics steps (`PHYSICS_HZ` per second) since the episode's start.

`actions` are the joint targets that the policy intended, without the noise that a
collection may add. The environment of `env_args` takes them without conversion, and its
observations are those of the frames (`as_frame`). `streams/action` holds the executed
actions, in the control mode and at the control rate of the metadata; a replay plays them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from embodied.errors import EmbodiedError
from embodied.plain import make_fields_plain

# The type hint of an open h5py file, group or array: `Any`, because only at run time it is
# known which of them an item of a file is.
H5 = Any

# Version 1: one goal per plan.
# Version 2: one goal per effector, and goals of bases.
# Version 3: `actions` hold the policy's intention, and `env_args` names an environment
# that takes them. In versions 1 and 2 they hold the executed action, with disturbances.
SCHEMA_VERSION = 3
READABLE_VERSIONS = (1, 2, 3)

# Default frames per second. At this rate playing `actions` still solves the tasks
# (docs/contracts.md, section 7).
RECORD_HZ = 20

IMAGE_SUFFIX = "_image"
DEPTH_SUFFIX = "_depth"
SEGMENTATION_SUFFIX = "_segmentation"
PICTURE_SUFFIXES = (IMAGE_SUFFIX, DEPTH_SUFFIX, SEGMENTATION_SUFFIX)
ENV_TYPE_GYM = 2  # robomimic's EnvType for a Gymnasium environment
# Key in the metadata of an imported dataset, whose value is the format it came from.
IMPORTED_FROM = "imported_from"
# The control mode in which the array `actions` is given.
ACTIONS_MODE = "joint"

# Settings that do not affect an episode are not stored, so that the same seeds give the
# same file.
NOT_STORED = ("num_threads",)
# The entries of a header that a user chose with flags, the most important ones first. In
# an error message they come before the other entries.
MOST_IMPORTANT = ("task", "robot", "policy", "planner_hz", "record_hz")
# An error message shows no values whose text has more characters than this.
MAX_SHOWN = 60


class DatasetError(EmbodiedError):
    """A dataset cannot be read, or would be written with invalid content.

    Line breaks in the text become spaces, because the text may contain names and values
    of a damaged file, and must stay one line.
    """

    def __init__(self, text: str) -> None:
        super().__init__(" ".join(text.splitlines()))


@dataclass(frozen=True)
class Header:
    """The properties that all episodes of a file share.

    Attributes:
        metadata: `Worlds.metadata` of the worlds that were recorded, as JSON values.
        policy: the name of the policy that acted.
        record_hz: frames per second.
        planner_hz: plans per second; None if the policy makes no plans.
        schema_version: the version of the schema, which says what the arrays mean.
        correction: who corrected the policy (key `by`), and by which rule; None if
            nobody corrected the policy.
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
        """The metadata as JSON text, the form in which a file stores it."""
        return to_json({**self.metadata, "config": self._stored_config()})

    @property
    def env_args(self) -> dict[str, Any]:
        """The environment that the array `actions` controls, in robomimic's form.

        `gymnasium.make(env_name, **env_kwargs)` has the same worlds, but joint targets as
        actions and one control step per frame. So each row of `actions` is one action of
        this environment, without conversion.
        """
        env_kwargs = self._stored_config()
        env_kwargs.pop("task", None)  # `env_name` names the task already
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
        """Returns the differences of two headers as phrases, the most important first.

        A phrase reads like "config.level is 'L1' in the one, 'L2' in the other".
        """
        own_entries = self._entries()
        other_entries = other._entries()
        names = sorted(own_entries.keys() | other_entries.keys(), key=_by_importance)

        differing = []
        for name in names:
            own_value = own_entries.get(name)
            other_value = other_entries.get(name)
            if own_value != other_value:
                differing.append(_difference(name, own_value, other_value))
        return differing

    def _stored_config(self) -> dict[str, Any]:
        """Returns the worlds' config without the settings that change no episode."""
        config = dict(self.metadata.get("config", {}))
        for key in NOT_STORED:
            config.pop(key, None)
        return config

    def _entries(self) -> dict[str, Any]:
        """Returns all entries by name; the config's are named like `config.level`."""
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


def _by_importance(name: str) -> tuple[int, bool, str]:
    """Returns the sort key of a header's entry.

    First come the entries of `MOST_IMPORTANT`, in the order given there; then the other
    entries of the worlds' config, by name; then all other entries, by name.
    """
    rank = len(MOST_IMPORTANT)
    if name in MOST_IMPORTANT:
        rank = MOST_IMPORTANT.index(name)
    is_config = name.startswith("config.")
    return (rank, not is_config, name)


def _difference(name: str, own: Any, other: Any) -> str:
    """Returns a difference as a phrase, without the values if they are too long to read.

    Args:
        name: the name of the entry.
        own: the value of the entry in the first header.
        other: the value of the entry in the second header.
    """
    own_text = repr(own)
    other_text = repr(other)
    if max(len(own_text), len(other_text)) > MAX_SHOWN:
        return f"{name} differs"
    return f"{name} is {own_text} in the one, {other_text} in the other"


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
    takeovers: int | None = None  # only if the policy was corrected
    takeover_s: float | None = None
    # The next three fields are only set if a person demonstrated the episode.
    operator: str | None = None  # who demonstrated the episode
    device: str | None = None  # the input device
    marked: bool | None = None  # whether the operator marked the episode for a check
    variation: Mapping[str, Any] = field(default_factory=dict)  # sampled values
    # The next three fields are only set if the episode was generated from recordings.
    source_file: str | None = None  # the file with the recorded episodes
    source_episode: int | None = None  # the number of the recorded episode it follows
    # The numbers of the recorded episodes that its segments were copied from, one number
    # per segment, separated by spaces.
    source_segments: str | None = None
    # Number of frames. It must stay the last field: it is written last, so a demo that
    # has it is complete.
    num_samples: int = 0

    @property
    def success(self) -> bool:
        """Whether a policy can learn from the episode: it ends in success, without fault."""
        return self.success_at_end and not self.fault


@dataclass(frozen=True)
class Stream:
    """Values of one kind over time."""

    tick: np.ndarray  # (T,) int64
    value: np.ndarray  # (T, ...)


@dataclass(frozen=True)
class Episode:
    """The content of one episode in a file.

    A frame's period lasts from the frame to the next one.

    Attributes:
        meta: the episode's row of the table of episodes.
        obs: the observations of the frames by key: agent_pos, environment_state,
            <camera>_image; and, if `data render` added them, <camera>_depth and
            <camera>_segmentation.
        actions: (F, J) float32 in [-1, 1], the normalised joint target that the policy
            intended for the end of the frame's period. Before schema version 3: the
            executed target, disturbances included.
        rewards: (F,) float32, at the end of the frame's period.
        states: (F, D) float64, the full physics state at the frame.
        frame_tick: (F,) int64, the tick of each frame.
        image_tick: (F,) int64, the tick at which the images of each frame were captured;
            None without cameras.
        streams: the streams, by the names of `STREAMS`, and of `STREAMS_OF_ACTORS` if
            several actors take turns.
        plans: arrays (K, ...) by the names of `PLAN_TIMES` and `PLAN_PAYLOAD`; empty if
            the policy makes no plans.
        start_state: (D,) float64, the physics state at the start.
        start_fields: the model fields that were varied in this world, by name; names may
            contain slashes.
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
    """Returns whether an array holds colour, depth or segmentation images.

    Args:
        key: the array's name, such as `front_image` or `obs/front_image`.
    """
    return key.endswith(PICTURE_SUFFIXES)


def as_frame(observation: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns an environment's observation under the keys of a dataset's frames.

    Args:
        observation: the observation of a Gymnasium environment with one world.
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
    """Returns the JSON text of a mapping, with sorted keys, so that the text is unique."""
    return json.dumps(value, sort_keys=True, allow_nan=False)
