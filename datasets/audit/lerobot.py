"""A folder of LeRobot as a temporary file in robomimic's layout, which the audit can read.

An import refuses a folder with NaN, with arrays of different lengths or with damaged
images. An audit has to report them episode by episode. So this copy checks nothing, and
notes for each episode what cannot be read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.datasets.audit.positions import may_be_position
from embodied.datasets.audit.view import UNREADABLE
from embodied.datasets.export.lerobot_features import (
    ACTION,
    COUNTERS,
    DONE,
    ENVIRONMENT_STATE,
    LANGUAGE,
    LANGUAGE_EVENTS,
    REWARD,
    STATE,
)
from embodied.datasets.h5_files import new_file, write_text
from embodied.datasets.importing.lerobot import LeRobotFolder
from embodied.datasets.schema import H5, IMAGE_SUFFIX, DatasetError

# Images are copied with every k-th pixel only, so that the longer side has at most about
# this many pixels: the report shows them in this size, and the checks in a smaller one.
LONGEST_SIDE_PX = 192
CLOCK = "timestamp"
# LeRobot's name of a feature -> the name in robomimic's layout
ARRAYS = {
    ACTION: "actions",
    REWARD: "rewards",
    DONE: "dones",
    ENVIRONMENT_STATE: "obs/environment_state",
}
# The features that are copied in a form of their own, or that hold numbers of rows.
SPECIAL = (STATE, CLOCK, LANGUAGE, LANGUAGE_EVENTS, *COUNTERS)


class AuditedFolder:
    """Copies a LeRobotDataset v3.0 into a file that the audit can read.

    Attributes:
        omitted: the names of the features that are not looked at.

    Args:
        folder: the folder of the dataset.

    Raises:
        DatasetError: a table is missing, the version is another one, or the frame rate is
            impossible.
        EmbodiedError: pyarrow is not installed.
    """

    def __init__(self, folder: Path) -> None:
        """Reads all tables except the frames."""
        self._source = LeRobotFolder(folder, reads_all=True)
        if self._source.hz < 1:
            raise DatasetError(f"{folder} has {self._source.hz} frames per second")

        # name of a feature -> name of its copy below an episode's group
        self._arrays: dict[str, str] = {}
        for name, feature in self._source.features.items():
            is_vector = len(feature["shape"]) == 1 and _holds_numbers(feature)
            if is_vector and name not in SPECIAL:
                copy = name.replace("observation.", "obs/", 1).replace(".", "_")
                self._arrays[name] = ARRAYS.get(name, copy)

        copied = {*self._arrays, *SPECIAL, *self._source.cameras.values()}
        self.omitted = [name for name in self._source.omitted if name not in copied]

    def __len__(self) -> int:
        return len(self._source.rows)

    def write(self, target: Path, on_written: Callable[[int], None]) -> None:
        """Writes the copy.

        Args:
            target: the file to write.
            on_written: a function that is called with 1 after each episode.

        Raises:
            WriteError: the file cannot be written.
        """
        temporary = target.with_name(f"{target.name}.writing")
        rate = {"env_kwargs": {"control_freq": self._source.hz}}
        with new_file(target, temporary) as new:
            data = new.h5.create_group("data")
            write_text(data, "env_args", json.dumps(rate))
            for number, row in enumerate(self._source.rows):
                self._write_episode(data.create_group(f"demo_{number}"), row)
                new.check()
                on_written(1)

    def _write_episode(self, demo: H5, row: Mapping[str, Any]) -> None:
        """Writes what can be read of an episode, and notes what cannot."""
        instruction = "; ".join(task for task in row["tasks"] if isinstance(task, str))
        # LeRobot stores an instruction with every episode, so an empty one is a blank
        write_text(demo, "ep_meta", json.dumps({"lang": instruction or " "}))
        try:
            frames = self._source.frames(row)
        except DatasetError as error:
            write_text(demo, UNREADABLE, str(error))
            return

        failures = []
        # name of a feature -> the function that copies it
        copies = dict.fromkeys(self._arrays, self._copy_array)
        copies[STATE] = self._copy_state
        if CLOCK in self._source.features:
            copies[CLOCK] = self._copy_clock
        for name, copy in copies.items():
            try:
                copy(demo, name, self._source.vector(frames, name))
            except DatasetError as error:
                failures.append(str(error))

        for camera, name in self._source.cameras.items():
            try:
                images = self._source.pictures(name, row, frames)
            except DatasetError as error:
                failures.append(str(error))
                continue
            _copy_images(demo, f"obs/{camera}{IMAGE_SUFFIX}", images)
        if failures:
            write_text(demo, UNREADABLE, failures[0])

    def _copy_array(self, demo: H5, name: str, rows: np.ndarray) -> None:
        """Copies a feature of numbers; one number per frame becomes an array (F,)."""
        copy = self._arrays[name]
        is_scalar = copy in ("rewards", "dones")
        demo[copy] = rows[:, 0] if is_scalar else rows

    def _copy_state(self, demo: H5, name: str, rows: np.ndarray) -> None:
        """Copies the proprioception, with positions apart from velocities and forces."""
        names = self._source.names(name)
        is_position = np.array([may_be_position(element) for element in names])
        # without a position by name, the whole vector has to do
        if not is_position.any():
            is_position[:] = True
        demo["obs/state"] = rows[:, is_position]
        if not is_position.all():
            demo["obs/state_rates"] = rows[:, ~is_position]

    def _copy_clock(self, demo: H5, name: str, rows: np.ndarray) -> None:
        """Copies the time of each frame, in ticks."""
        seconds = np.nan_to_num(rows[:, 0].astype(np.float64))
        limit = 2.0**40  # far beyond any episode, and exact as an integer
        ticks = np.clip((seconds * PHYSICS_HZ).round(), -limit, limit)
        demo["frame_tick"] = ticks.astype(np.int64)


def _holds_numbers(feature: Mapping[str, Any]) -> bool:
    """Returns whether a feature holds numbers, by its type in `info.json`."""
    kind = str(feature.get("dtype"))
    return kind.startswith(("float", "int", "uint", "bool"))


def _copy_images(demo: H5, name: str, images: np.ndarray) -> None:
    """Copies images (F, H, W, 3), with every k-th pixel, one image per chunk."""
    stride = -(-max(images.shape[1:3]) // LONGEST_SIDE_PX)  # rounded up
    small = images[:, ::stride, ::stride]
    chunk = (1, *small.shape[1:])
    demo.create_dataset(
        name, data=small, chunks=chunk, compression="gzip", compression_opts=1
    )
