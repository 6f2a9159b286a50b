"""An episode as the audit sees it: numbers by path, cameras in small, and what is said.

It is read from the plain HDF5, not by `read_episode`, since a file that is audited may
lack what that needs: a robomimic file from elsewhere, or one that something damaged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np

from embodied.core import PHYSICS_HZ, ActionInterface, Layout
from embodied.datasets.guarded import arrays_below, read_array, require_sound_size
from embodied.datasets.opening import read_meta
from embodied.datasets.schema import (
    H5,
    IMAGE_SUFFIX,
    DatasetError,
    EpisodeMeta,
    Header,
)

# Frames are compared in small: every k-th pixel, so that about so many are left a side.
THUMBNAIL_PX = 24
FRAMES_AT_ONCE = 64
# robosuite's rate, for files that do not tell theirs
FOREIGN_HZ = 20.0

# How the names of arrays below `obs` end that tell where the robot is in a file from
# elsewhere. The first group with arrays, all of one length, is taken.
FOREIGN_POSITIONS = (
    ("joint_pos",),
    ("eef_pos", "ee_pos"),
    ("agent_pos", "state"),
)


@dataclass(frozen=True)
class Camera:
    """The pictures of one camera in one episode.

    Attributes:
        digest: (F,) uint32, equal for equal pictures.
        spread: (F,) the standard deviation of each picture, in grey levels.
        small: (F, h, w, 3) uint8, every k-th pixel.
    """

    digest: np.ndarray
    spread: np.ndarray
    small: np.ndarray


# How many axes an array may have, by its name below the group of an episode; those of
# other arrays are not known.
ARRAY_AXES = {
    "actions": (2,),
    "rewards": (1,),
    "dones": (1,),
    "states": (2,),
    "frame_tick": (1,),
    "image_tick": (1,),
}
ANY_AXES = (1, 2, 3)


@dataclass(frozen=True)
class Source:
    """What is true of every episode of a file.

    Attributes:
        header: of a dataset of ours; None for a file from elsewhere.
        frame_hz: frames per second.
    """

    header: Header | None
    frame_hz: float

    @cached_property
    def control_hz(self) -> float:
        """Control steps per second; the frame rate for a file from elsewhere."""
        if self.header is None:
            return self.frame_hz
        config = self.header.metadata.get("config", {})
        return float(config.get("control_hz") or self.frame_hz)

    @cached_property
    def agent_slices(self) -> dict[str, slice]:
        """Where each part of the proprioception lies; empty where nothing tells."""
        stored = self.header.metadata.get("agent_layout", ()) if self.header else ()
        layout = Layout(tuple((str(name), int(width)) for name, width in stored))
        return layout.slices()

    @cached_property
    def joint_interface(self) -> ActionInterface | None:
        """The joints with their ranges; None where nothing tells."""
        stored = self.header and self.header.metadata.get("joint_interface")
        return ActionInterface.of(stored) if stored else None


@dataclass(frozen=True)
class View:
    """One episode.

    Attributes:
        demo: the name of its group.
        source: the file it is in.
        arrays: by path below the group, all that are no pictures.
        cameras: by name; empty where pictures were not read.
        meta: its row of the table; None in a file from elsewhere.
        damage: why some of it cannot be read; "" if all of it can.
        instruction: the sentence, "" where nothing tells.
    """

    demo: str
    source: Source
    arrays: Mapping[str, np.ndarray]
    cameras: Mapping[str, Camera] = field(default_factory=dict)
    meta: EpisodeMeta | None = None
    damage: str = ""
    instruction: str = ""

    @property
    def num_frames(self) -> int:
        """How many actions there are, one per frame."""
        return len(self.arrays.get("actions", ()))

    @property
    def duration_s(self) -> float:
        """How long the episode is, by its frames."""
        return self.num_frames / self.source.frame_hz

    @property
    def motion_hz(self) -> float:
        """Rows of `positions` per second."""
        if "streams/agent_pos/value" in self.arrays:
            return self.source.control_hz
        return self.source.frame_hz

    @cached_property
    def positions(self) -> np.ndarray:
        """(T, J) where the joints are, and how wide the grippers; (0, 0) if unknown.

        In rad and m in a dataset of ours, and as they are in a file from elsewhere.
        """
        own = self.arrays.get("streams/agent_pos/value")
        if own is not None:
            return _columns(own, self._position_columns())
        return _foreign_positions(self.arrays)

    @cached_property
    def joints(self) -> np.ndarray:
        """(T, J) the joint positions alone, without grippers; (0, 0) if unknown."""
        own = self.arrays.get("streams/agent_pos/value")
        part = self.source.agent_slices.get("joint_pos")
        if own is None or part is None:
            return np.zeros((0, 0))
        return _columns(own, range(*part.indices(own.shape[1])))

    @cached_property
    def targets(self) -> np.ndarray:
        """(T, J) the servo targets, at the rate of `joints`; (0, 0) if unknown."""
        return _matrix(self.arrays.get("streams/joint_target/value"))

    def _position_columns(self) -> list[int]:
        """Returns the columns of the proprioception for joints and gripper widths."""
        columns: list[int] = []
        for name, part in self.source.agent_slices.items():
            if name == "joint_pos" or name.endswith("_width"):
                columns += range(part.start, part.stop)
        return columns


def read_view(demo: H5, source: Source, images: bool = True) -> View:
    """Returns an episode as the audit sees it.

    Args:
        demo: the group.
        source: the file it is in.
        images: whether to read the pictures, which are nearly all of its size.
    """
    arrays: dict[str, np.ndarray] = {}
    pictures: dict[str, H5] = {}

    cameras: dict[str, Camera] = {}
    meta = None
    damage = ""
    try:
        for name, item in arrays_below(demo).items():
            # robomimic's copy of `obs`, one frame later
            if name.startswith("next_obs/"):
                continue
            if is_picture(item):
                pictures[camera_name(name)] = item
            elif np.issubdtype(item.dtype, np.number) and 0 < item.ndim < 4:
                if item.ndim not in axes_of(name):
                    damage = damage or f"{name} has {item.ndim} axes"
                    continue
                arrays[name] = read_array(item)
        if images:
            cameras = {name: read_camera(item) for name, item in pictures.items()}
        if source.header is not None:
            meta = read_meta(demo)
    except DatasetError as error:
        damage = str(error)
    instruction = meta.instruction if meta else _foreign_instruction(demo)
    name = demo.name.rpartition("/")[2]
    return View(name, source, arrays, cameras, meta, damage, instruction)


def axes_of(name: str) -> tuple[int, ...]:
    """Returns the numbers of axes that an array may have, by its name."""
    if name.startswith("streams/"):
        return (1,) if name.endswith("/t") else (1, 2)
    return ARRAY_AXES.get(name, ANY_AXES)


def is_picture(item: H5) -> bool:
    """Returns whether an array holds pictures: (F, H, W, 1 to 4) uint8."""
    return item.ndim == 4 and item.dtype == np.uint8 and item.shape[-1] in (1, 3, 4)


def camera_name(path: str) -> str:
    """Returns the name of the camera whose pictures lie at a path."""
    return path.rpartition("/")[2].removesuffix(IMAGE_SUFFIX)


def picture_paths(demo: H5) -> dict[str, str]:
    """Returns the paths of an episode's pictures, by camera."""
    return {
        camera_name(name): name
        for name, item in arrays_below(demo).items()
        if is_picture(item) and not name.startswith("next_obs/")
    }


def read_camera(item: H5) -> Camera:
    """Returns the pictures of a camera, a few frames in memory at a time."""
    require_sound_size(item)
    digests = []
    spreads = []
    small = []
    for first in range(0, len(item), FRAMES_AT_ONCE):
        frames = read_array(item, slice(first, first + FRAMES_AT_ONCE))
        digests += [crc32(frame) for frame in frames]
        reduced = shrink(frames)
        spreads.append(reduced.reshape(len(reduced), -1).std(axis=1))
        small.append(reduced)

    if not small:
        return Camera(np.zeros(0, np.uint32), np.zeros(0), np.zeros((0, 1, 1, 3)))
    return Camera(
        np.array(digests, np.uint32), np.concatenate(spreads), np.concatenate(small)
    )


def shrink(frames: np.ndarray) -> np.ndarray:  # (F, H, W, C) -> (F, h, w, C)
    """Returns every k-th pixel, so that about THUMBNAIL_PX are left a side."""
    step = max(1, max(frames.shape[1:3]) // THUMBNAIL_PX)
    return frames[:, ::step, ::step]


def source_of(file: H5, header: Header | None) -> Source:
    """Returns what is true of every episode of an open file."""
    if header is not None:
        return Source(header, float(header.record_hz))
    return Source(None, _foreign_hz(file))


def _foreign_hz(file: H5) -> float:
    """Returns the frame rate that robomimic's `env_args` tells."""
    try:
        env_args = json.loads(file["data"].attrs["env_args"])
        rate = float(env_args["env_kwargs"]["control_freq"])
    except (KeyError, TypeError, ValueError):
        return FOREIGN_HZ
    return rate if np.isfinite(rate) and rate > 0 else FOREIGN_HZ


def _foreign_instruction(demo: H5) -> str:
    """Returns the sentence that robocasa stores with an episode; "" without one."""
    try:
        told: Any = json.loads(demo.attrs["ep_meta"])["lang"]
    except (KeyError, TypeError, ValueError):
        return ""
    return told if isinstance(told, str) else ""


def _foreign_positions(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns where the robot was, (F, J) in units of its own; (0, 0) if unknown."""
    observed = {
        name: _matrix(value)
        for name, value in arrays.items()
        if name.startswith("obs/")
    }

    # the first kind of names that fits, if its arrays are equally long
    for endings in FOREIGN_POSITIONS:
        found = [
            value
            for name, value in observed.items()
            if name.endswith(endings) and value.size
        ]

        lengths = {len(value) for value in found}
        if len(lengths) == 1:
            return np.concatenate(found, axis=1).astype(np.float64)

    return np.zeros((0, 0))


def _columns(array: np.ndarray, columns: Any) -> np.ndarray:
    """Returns those of the columns that an array has; (0, 0) if it has none of them."""
    matrix = _matrix(array)
    kept = [column for column in columns if column < matrix.shape[1]]
    if not kept:
        return np.zeros((0, 0))
    return matrix[:, kept].astype(np.float64)


def _matrix(array: np.ndarray | None) -> np.ndarray:
    """Returns an array as (T, K); (0, 0) where there is none."""
    if array is None or array.ndim == 0:
        return np.zeros((0, 0))
    return array.reshape(len(array), -1) if array.size else np.zeros((0, 0))


def seconds(tick: float) -> float:
    """Returns the time of a tick in s."""
    return float(tick) / PHYSICS_HZ
