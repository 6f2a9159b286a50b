"""What a dataset file holds: names, plain data, and the check that a file is one of
ours.

The file is robomimic's HDF5 layout; what is ours lies in `/meta` and in each demo's
attributes, `streams`, `plans` and `start`. Shapes: F frames (at `record_hz`), T control
steps, J joints, A action size, k plans. Ticks count physics steps (`PHYSICS_HZ` a
second) since the episode's start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from embodied.errors import EmbodiedError

H5 = Any  # an open h5py file or group; what an item of it is depends on the file

# 2: goals per effector and goals of bases; 1: one goal per plan.
SCHEMA_VERSION = 2
READABLE_VERSIONS = (1, 2)
IMAGE_SUFFIX = "_image"
ENV_TYPE_GYM = 2  # robomimic's EnvType for a Gymnasium environment
STEP_STREAMS = {  # stream -> dtype; all have a row per control step
    "action": np.float32,  # (A,) as given to the worlds
    # (A,) what the policy wanted, where its actions were disturbed
    "intended": np.float32,
    "agent_pos": np.float32,  # (P,) before the action
    "joint_target": np.float64,  # (J,) physical, after the step, as are all below
    "reward": np.float64,
    "progress": np.float32,
    "success": np.uint8,
    "checksum": np.uint64,
}
# have the ticks before the step, the others those after it
STREAMS_BEFORE = ("action", "intended", "agent_pos")
PLAN_TIMES = ("seq", "tick_frame", "tick_start", "tick_done", "tick_arrived")
PLAN_PAYLOAD = (
    "subtask",
    "goal_pos_w",
    "goal_quat_wxyz",
    "goal_vel_w",
    "gripper",
    "completion",
    "base_goal_w",
)
# changes no episode: the same seeds give the same file, whoever collects them
NOT_STORED = ("num_threads",)


class DatasetError(EmbodiedError):
    """A dataset that is not there, not one, damaged, of another version, or given
    something it must not store.
    """


@dataclass(frozen=True)
class Header:
    """What is true of every episode of a file."""

    metadata: Mapping[str, Any]  # Worlds.metadata(), JSON-able
    policy: str
    record_hz: int = 10
    planner_hz: float | None = None

    @property
    def metadata_json(self) -> str:
        return to_json({**self.metadata, "config": self._config()})

    @property
    def env_args_json(self) -> str:
        """What robomimic asks of `/data`: the Gymnasium id and the arguments that make
        this environment again.
        """
        arguments = {
            key: value for key, value in self._config().items() if key != "task"
        }
        version = self.metadata["versions"]["embodied-ground"]
        return to_json(
            {
                "env_name": self.metadata["env_id"],
                "type": ENV_TYPE_GYM,
                "env_version": version,
                "env_kwargs": arguments,
            }
        )

    def _config(self) -> dict[str, Any]:
        return {
            key: value
            for key, value in self.metadata["config"].items()
            if key not in NOT_STORED
        }

    def differences(self, other: Header) -> list[str]:
        """Names of what is not the same in the two headers."""
        ours = self._flat()
        theirs = other._flat()
        return sorted(
            key
            for key in ours.keys() | theirs.keys()
            if ours.get(key) != theirs.get(key)
        )

    def _flat(self) -> dict[str, Any]:
        own = {
            "policy": self.policy,
            "record_hz": self.record_hz,
            "planner_hz": self.planner_hz,
        }
        return {**json.loads(self.metadata_json), **own}


@dataclass(frozen=True)
class EpisodeMeta:
    """One episode's row of the table; stored as the demo's attributes (None is left
    out).
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
    peak_contact_force_n: float | None = None  # None in files of before these were kept
    collisions: int | None = None
    min_joint_margin_rad: float | None = None
    dropped: int | None = None
    variation: Mapping[str, Any] = field(default_factory=dict)
    # frames; stays the last field, since it is written last: without it a demo is not
    # whole
    num_samples: int = 0

    @property
    def success(self) -> bool:
        """Whether it is a demonstration to learn from: the task was still done at the
        end, and nothing went wrong.
        """
        return self.success_at_end and not self.fault


@dataclass(frozen=True)
class Stream:
    """Values over time."""

    tick: np.ndarray  # (T,) int64
    value: np.ndarray  # (T, ...)


@dataclass(frozen=True)
class Episode:
    """A whole episode as it is written and read."""

    meta: EpisodeMeta
    # (F, ...): agent_pos, environment_state, <camera>_image
    obs: Mapping[str, np.ndarray]
    # (F, J) float32 in [-1, 1]: joint target at the end of the frame's period
    actions: np.ndarray
    rewards: np.ndarray  # (F,) float32, at the end of the frame's period
    states: np.ndarray  # (F, D) float64 full physics state at the frame
    frame_tick: np.ndarray  # (F,) int64
    # (F,) int64, when the frame's images were taken; None without cameras
    image_tick: np.ndarray | None
    streams: Mapping[str, Stream]
    # (k, ...) PLAN_TIMES and PLAN_PAYLOAD; empty for a policy that makes none
    plans: Mapping[str, np.ndarray]
    start_state: np.ndarray  # (S,) float64
    # what was varied in this world; names may hold slashes
    start_fields: Mapping[str, np.ndarray]


def to_json(value: Mapping[str, Any]) -> str:
    """One text for one value, whatever the order of its keys."""
    return json.dumps(value, sort_keys=True, allow_nan=False)


def demo_names(file: H5) -> list[str]:
    """The whole demos in the order of their numbers."""
    whole = (name for name, demo in file["data"].items() if "num_samples" in demo.attrs)
    return sorted(whole, key=lambda name: int(name.removeprefix("demo_")))


def read_header(file: H5) -> Header:
    """What is said of all episodes of an open dataset. Raises DatasetError where that
    is damaged.
    """
    attrs = file["meta"].attrs
    planner_hz = float(attrs["planner_hz"]) if "planner_hz" in attrs else None
    try:
        return Header(
            json.loads(attrs["metadata"]),
            str(attrs["policy"]),
            int(attrs["record_hz"]),
            planner_hz,
        )
    except (KeyError, ValueError) as error:
        raise DatasetError(
            f"{file.filename} is damaged: what it says of itself cannot be read ({error})"
        ) from error


def read_meta(demo: H5) -> EpisodeMeta:
    """What is said of one whole demo. Raises DatasetError where that is damaged."""
    values: dict[str, Any] = {}
    for f in fields(EpisodeMeta):
        if f.name in demo.attrs:
            stored = demo.attrs[f.name]
            values[f.name] = stored.item() if isinstance(stored, np.generic) else stored
    try:
        return EpisodeMeta(**{**values, "variation": json.loads(values["variation"])})
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{demo.file.filename} is damaged: {demo.name} lacks what is said of it ({error})"
        ) from error


def open_file(path: Path) -> H5:
    """Open a dataset for reading, also while another process holds it.

    Raises:
        DatasetError: nothing there, a folder, not HDF5, truncated, not a dataset of
            ours, or of a version that this package does not read.
    """
    if path.is_dir():
        raise DatasetError(f"{path} is a folder; a dataset is one HDF5 file")
    if not path.exists():
        beside = (
            sorted(p.name for p in path.parent.glob("*.hdf5"))
            if path.parent.is_dir()
            else []
        )
        raise DatasetError(f"no dataset at {path}; datasets in {path.parent}: {beside}")
    if not h5py.is_hdf5(path):
        with path.open("rb") as raw:
            raise DatasetError(
                f"{path} is not an HDF5 file: it begins with {raw.read(8)!r}"
            )
    try:
        file: H5 = h5py.File(path, "r", locking=False)
    except OSError as error:
        if "locking flag" in str(error):
            again = f"close it, or open it as h5py.File({path.name!r}, locking=False)"
            raise DatasetError(
                f"{path} is already open in this process with file locking: {again}"
            ) from error
        raise DatasetError(
            f"{path} is truncated or damaged and cannot be opened: {error}"
        ) from error
    try:
        _check_version(file, path)
    except BaseException:
        file.close()
        raise
    return file


def may_be_dataset(path: Path) -> bool:
    """Whether a file is a dataset of ours, of whatever version, or too damaged to tell."""
    if not h5py.is_hdf5(path):
        return False
    try:
        with h5py.File(path, "r", locking=False) as file:
            return _is_ours(file)
    except OSError:
        return True


def _is_ours(file: H5) -> bool:
    return "meta" in file and "schema_version" in file["meta"].attrs and "data" in file


def _check_version(file: H5, path: Path) -> None:
    if not _is_ours(file):
        raise DatasetError(f"{path} is an HDF5 file but not a dataset of ours (no /meta with schema_version); "
                           f"it holds {sorted(file)}")  # fmt: skip
    version = file["meta"].attrs["schema_version"]
    if version not in READABLE_VERSIONS:
        raise DatasetError(
            f"{path} has schema version {version}; this package reads {list(READABLE_VERSIONS)}"
        )
