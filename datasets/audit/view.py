"""An episode in the form that the audit's checks use.

Arrays are read directly from HDF5, not by `read_episode`, because an audited file may be
damaged, or may be a robomimic file from elsewhere with other arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from zlib import crc32

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.datasets.array_specs import FRAMES, STREAMS, STREAMS_OF_ACTORS
from embodied.datasets.audit.positions import (
    JOINTS,
    columns_of,
    foreign_positions,
    matrix_of,
    position_columns,
)
from embodied.datasets.audit.source import Source
from embodied.datasets.guarded import (
    arrays_below,
    damage_named,
    read_array,
    read_attribute,
    require_sound_size,
)
from embodied.datasets.importing.robomimic import stored_instruction
from embodied.datasets.opening import read_meta
from embodied.datasets.schema import (
    H5,
    IMAGE_SUFFIX,
    DatasetError,
    EpisodeMeta,
)

# Images are compared in a reduced size, with about this many pixels along the longer side.
THUMBNAIL_PX = 24
# This many images are read at a time, to bound the memory that they take.
FRAMES_AT_ONCE = 64
# The attribute of an episode in which a copy notes what of the original cannot be read.
UNREADABLE = "unreadable"


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


# The specifications of arrays, by their names below an episode's group. Observations are
# missing, since files from elsewhere have them in other forms.
SPECS = {spec.name: spec for spec in FRAMES if not spec.name.startswith("obs/")} | {
    f"streams/{spec.name}/value": spec for spec in (*STREAMS, *STREAMS_OF_ACTORS)
}
# Arrays with other names may have any of these numbers of axes.
ANY_AXES = (1, 2, 3)


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

        In a dataset of ours they are in rad and m. In a dataset from elsewhere the robot's
        position may have any form, such as that of the hand, and any unit.
        """
        agent_pos = self.arrays.get("streams/agent_pos/value")
        if agent_pos is not None:
            return columns_of(agent_pos, position_columns(self.source.agent_slices))
        # a robomimic file that our export wrote says what its proprioception consists of
        sensed = self.arrays.get("obs/agent_pos")
        if sensed is not None and self.source.agent_layout:
            return columns_of(sensed, position_columns(self.source.agent_slices))
        return foreign_positions(self.arrays)

    @cached_property
    def joints(self) -> np.ndarray:
        """(T, J) positions of the joints without grippers; (0, 0) if unknown."""
        agent_pos = self.arrays.get("streams/agent_pos/value")
        columns = self.source.agent_slices.get(JOINTS)
        if agent_pos is None or columns is None:
            return np.zeros((0, 0))
        return columns_of(agent_pos, range(*columns.indices(agent_pos.shape[1])))

    @cached_property
    def targets(self) -> np.ndarray:
        """(T, J) the servo targets, at the rate of `joints`; (0, 0) if unknown."""
        return matrix_of(self.arrays.get("streams/joint_target/value"))


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
    instruction = ""
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
            instruction = meta.instruction
        else:
            with damage_named(demo):
                instruction = stored_instruction(demo)
                if UNREADABLE in demo.attrs:
                    damage = damage or str(read_attribute(demo, UNREADABLE))
    except DatasetError as error:
        damage = str(error)
    return View(
        demo=demo.name.rpartition("/")[2],
        source=source,
        arrays=arrays,
        cameras=cameras,
        meta=meta,
        damage=damage,
        instruction=instruction,
    )


def allowed_axes(name: str) -> tuple[int, ...]:
    """Returns the numbers of axes that an array may have, by its name."""
    if name in SPECS:
        return (1 + len(SPECS[name].row_axes),)  # the first axis counts the rows
    if name.startswith("streams/"):
        return (1,) if name.endswith("/t") else (1, 2)
    return ANY_AXES


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


def seconds(tick: float) -> float:
    """Returns the time of a tick in s."""
    return float(tick) / PHYSICS_HZ
