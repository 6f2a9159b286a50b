"""An episode in the form that the audit's checks use.

Arrays are read directly from HDF5, not by `read_episode`, because an audited file may be
damaged, or may be a robomimic file from elsewhere with other arrays.
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

# Images are compared in a reduced size, with about this many pixels along the longer side.
THUMBNAIL_PX = 24
# This many images are read at a time, to bound the memory that they take.
FRAMES_AT_ONCE = 64
# The frame rate of files that do not store a rate: robosuite's default.
FOREIGN_HZ = 20.0

# The name endings of arrays below `obs` that may hold the robot's position in a file from
# elsewhere. The first line is used whose arrays exist and have the same length.
FOREIGN_POSITIONS = (
    ("joint_pos",),
    ("eef_pos", "ee_pos"),
    ("agent_pos",),
    ("state",),
)
# The state of the surroundings, whose jumps, such as a lamp's, are none of the robot.
SURROUNDINGS = "environment_state"


@dataclass(frozen=True)
class Camera:
    """The images of one camera in one episode, reduced to the data that checks need.

    Attributes:
        digest: (F,) uint32, a checksum of each image; equal for equal images.
        spread: (F,) the standard deviation of each image, in grey levels.
        small: (F, h, w, C) uint8, the images in a reduced size, see `shrink`.
    """

    digest: np.ndarray
    spread: np.ndarray
    small: np.ndarray


# The number of axes that an array must have, by its name below an episode's group.
ARRAY_AXES = {
    "actions": (2,),
    "rewards": (1,),
    "dones": (1,),
    "states": (2,),
    "frame_tick": (1,),
    "image_tick": (1,),
}
# Arrays with other names may have any of these numbers of axes.
ANY_AXES = (1, 2, 3)


@dataclass(frozen=True)
class Source:
    """The properties that all episodes of a file share.

    Attributes:
        header: the header of a dataset of ours; None for a file from elsewhere.
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
        """Name of each part of the proprioception -> its columns; empty if unknown."""
        stored = self.header.metadata.get("agent_layout", ()) if self.header else ()
        layout = Layout(tuple((str(name), int(width)) for name, width in stored))
        return layout.slices()

    @cached_property
    def joint_interface(self) -> ActionInterface | None:
        """The joints with their ranges; None if unknown."""
        stored = self.header and self.header.metadata.get("joint_interface")
        return ActionInterface.of(stored) if stored else None


@dataclass(frozen=True)
class View:
    """One episode in the form that the checks use.

    Attributes:
        demo: the name of the episode's group.
        source: the properties of the episode's file.
        arrays: the path of an array within the group -> the array; all arrays of numbers
            except images.
        cameras: the name of a camera -> its images; empty if images were not read.
        meta: the episode's row of the table of episodes; None in a file from elsewhere.
        damage: the reason why a part of the episode cannot be read; "" without damage.
        instruction: the episode's instruction; "" if unknown.
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
        """The number of frames, which is the number of actions."""
        return len(self.arrays.get("actions", ()))

    @property
    def duration_s(self) -> float:
        """The duration of the episode, from its number of frames."""
        return self.num_frames / self.source.frame_hz

    @property
    def motion_hz(self) -> float:
        """Rows of `positions` per second."""
        if "streams/agent_pos/value" in self.arrays:
            return self.source.control_hz
        return self.source.frame_hz

    @cached_property
    def positions(self) -> np.ndarray:
        """(T, J) positions of the joints, and widths of the grippers; (0, 0) if unknown.

        In a dataset of ours they are in rad and m. In a file from elsewhere the robot's
        position may have any form, such as the hand's position, and any unit.
        """
        agent_pos = self.arrays.get("streams/agent_pos/value")
        if agent_pos is not None:
            return _columns(agent_pos, self._position_columns())
        return _foreign_positions(self.arrays)

    @cached_property
    def joints(self) -> np.ndarray:
        """(T, J) positions of the joints without grippers; (0, 0) if unknown."""
        agent_pos = self.arrays.get("streams/agent_pos/value")
        columns = self.source.agent_slices.get("joint_pos")
        if agent_pos is None or columns is None:
            return np.zeros((0, 0))
        return _columns(agent_pos, range(*columns.indices(agent_pos.shape[1])))

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
    """Returns an episode in the form that the checks use.

    A damaged array is no error: `View.damage` describes it, and a check reports it.

    Args:
        demo: the episode's group.
        source: the properties of the episode's file.
        images: whether to read the images, which take nearly all of an episode's size.
    """
    arrays: dict[str, np.ndarray] = {}
    image_arrays: dict[str, H5] = {}

    cameras: dict[str, Camera] = {}
    meta = None
    damage = ""
    try:
        for path, item in arrays_below(demo).items():
            # skip robomimic's copy of `obs` that is shifted by one frame
            if path.startswith("next_obs/"):
                continue
            if is_picture(item):
                image_arrays[camera_name(path)] = item
            # other arrays of 4 axes, such as depth images, are not checked
            elif np.issubdtype(item.dtype, np.number) and 0 < item.ndim < 4:
                if item.ndim not in allowed_axes(path):
                    damage = damage or f"{path} has {item.ndim} axes"
                    continue
                arrays[path] = read_array(item)
        if images:
            cameras = {name: read_camera(item) for name, item in image_arrays.items()}
        if source.header is not None:
            meta = read_meta(demo)
    except DatasetError as error:
        damage = str(error)
    return View(
        demo=demo.name.rpartition("/")[2],
        source=source,
        arrays=arrays,
        cameras=cameras,
        meta=meta,
        damage=damage,
        instruction=meta.instruction if meta else _foreign_instruction(demo),
    )


def allowed_axes(name: str) -> tuple[int, ...]:
    """Returns the numbers of axes that an array may have, by its name."""
    if name.startswith("streams/"):
        return (1,) if name.endswith("/t") else (1, 2)
    return ARRAY_AXES.get(name, ANY_AXES)


def is_picture(item: H5) -> bool:
    """Returns whether an array holds images: (F, H, W, C) uint8 with C of 1, 3 or 4."""
    return item.ndim == 4 and item.dtype == np.uint8 and item.shape[-1] in (1, 3, 4)


def camera_name(path: str) -> str:
    """Returns the name of the camera whose images are in the array at a path."""
    return path.rpartition("/")[2].removesuffix(IMAGE_SUFFIX)


def picture_paths(demo: H5) -> dict[str, str]:
    """Returns camera -> path of its images in an episode."""
    return {
        camera_name(name): name
        for name, item in arrays_below(demo).items()
        if is_picture(item) and not name.startswith("next_obs/")
    }


def read_camera(item: H5) -> Camera:
    """Reads the images of a camera, `FRAMES_AT_ONCE` in memory at a time."""
    require_sound_size(item)
    # the fields of `Camera`, block by block
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
        digest=np.array(digests, np.uint32),
        spread=np.concatenate(spreads),
        small=np.concatenate(small),
    )


def shrink(frames: np.ndarray) -> np.ndarray:  # (F, H, W, C) -> (F, h, w, C)
    """Reduces images to about THUMBNAIL_PX pixels per side, by taking every k-th pixel."""
    stride = max(1, max(frames.shape[1:3]) // THUMBNAIL_PX)
    return frames[:, ::stride, ::stride]


def file_source(file: H5, header: Header | None) -> Source:
    """Returns the properties that all episodes of an open file share.

    Args:
        file: the open file.
        header: the header of a dataset of ours; None for a file from elsewhere.
    """
    if header is not None:
        return Source(header, float(header.record_hz))
    return Source(None, _foreign_hz(file))


def _foreign_hz(file: H5) -> float:
    """Returns the frame rate in robomimic's `env_args`, else `FOREIGN_HZ`."""
    try:
        env_args = json.loads(file["data"].attrs["env_args"])
        rate = float(env_args["env_kwargs"]["control_freq"])
    except (KeyError, TypeError, ValueError):
        return FOREIGN_HZ
    return rate if np.isfinite(rate) and rate > 0 else FOREIGN_HZ


def _foreign_instruction(demo: H5) -> str:
    """Returns the instruction that RoboCasa stores with an episode, else ""."""
    try:
        stored: Any = json.loads(demo.attrs["ep_meta"])["lang"]
    except (KeyError, TypeError, ValueError):
        return ""
    return stored if isinstance(stored, str) else ""


def _foreign_positions(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the robot's positions (F, J) in a file from elsewhere; (0, 0) if unknown.

    They are in the units of the file.
    """
    observed = {
        name: _matrix(value)
        for name, value in arrays.items()
        if name.startswith("obs/") and not name.endswith(SURROUNDINGS)
    }

    # use the first line of `FOREIGN_POSITIONS` whose arrays exist and have one length
    for endings in FOREIGN_POSITIONS:
        vectors = [
            value
            for name, value in observed.items()
            if name.endswith(endings) and value.size
        ]

        lengths = {len(value) for value in vectors}
        if len(lengths) == 1:
            return np.concatenate(vectors, axis=1).astype(np.float64)

    return np.zeros((0, 0))


def _columns(array: np.ndarray, columns: Any) -> np.ndarray:
    """Returns the given columns of an array (T, ...) as a matrix.

    Columns that the array lacks are skipped; if none is left, the result is (0, 0).
    """
    matrix = _matrix(array)
    existing = [column for column in columns if column < matrix.shape[1]]
    if not existing:
        return np.zeros((0, 0))
    return matrix[:, existing].astype(np.float64)


def _matrix(array: np.ndarray | None) -> np.ndarray:
    """Returns an array as a matrix (T, K); (0, 0) if it is None or empty."""
    if array is None or array.ndim == 0:
        return np.zeros((0, 0))
    return array.reshape(len(array), -1) if array.size else np.zeros((0, 0))


def seconds(tick: float) -> float:
    """Returns the time of a tick in s."""
    return float(tick) / PHYSICS_HZ
