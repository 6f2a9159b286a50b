"""The torch dataset of windows over the streams of one or several dataset files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from embodied.closing import ClosedOnExit
from embodied.datasets.index.places import OnEpisode
from embodied.datasets.schema import DatasetError, is_picture_key
from embodied.datasets.windows.file_windows import Arrays, FileWindows
from embodied.datasets.windows.window import Window
from embodied.errors import EmbodiedError

DEFAULT_MASK = "train"
DEFAULT_MEMORY_BYTES = 2**30
# Windows that are asked for by number alone get the age of their plan from the number:
# multiples of the golden ratio, modulo 1, fill the range evenly, the same each time.
GOLDEN_RATIO = (5**0.5 - 1) / 2

# Tensors by name, each with a row per window.
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Request:
    """Which n windows a batch is made of, and all that is random about it.

    Attributes:
        numbers: (n,) of the windows.
        age: (n,) in [0, 1), the age of each window's plan: 0 for the least of
            `Window.plan_age_s`, 1 for the greatest.
    """

    numbers: np.ndarray
    age: np.ndarray

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Request:
        """Returns the request for windows by their numbers alone."""
        chosen = np.asarray(numbers, np.int64)
        return cls(chosen, chosen * GOLDEN_RATIO % 1)


class Windows(torch.utils.data.Dataset[Batch], ClosedOnExit):
    """Windows over the streams of datasets, to train a torch policy on.

        windows = Windows(
            ["totes.hdf5", "panels.hdf5"],
            Window({"obs/agent_pos": range(-1, 1), "actions": range(16)}),
        )
        for batch in WindowLoader(windows, batch_size=64, seed=0):
            batch["obs/agent_pos"]  # (64, 2, P) float32
            batch["actions"]  # (64, 16, J) float32
            batch["actions_is_pad"]  # (64, 16) whether it is beyond the episode's end

    A window also has the numbers `file`, `episode` (in its file), `robot`, `task` and
    `instruction` (indices into the attributes of these names) and `tick`, its moment.
    With `plan_age_s`, `plan_age_s` and `plan/<name>`, the payload of the plan, come with
    it. Floats are float32, pictures uint8 (H, W, 3), other numbers int64.

    Files may be of several tasks and robots. Rows that differ in width are filled up
    with zeros to the widest; `filled` says what is real.

    Each process opens the files by itself, at the first use. Rows are read from the disk
    unless `load` brought them into memory.

    Attributes:
        window: what each of them holds.
        mask: whose episodes.
        files: the paths.
        counts: how many windows each file has.
        robots: names, one for each robot with its control mode.
        tasks: names.
        instructions: sentences.
    """

    def __init__(
        self,
        paths: str | Path | Sequence[str | Path],
        window: Window,
        mask: str = DEFAULT_MASK,
        on_episode: OnEpisode | None = None,
    ) -> None:
        """Opens the datasets; no array is read yet.

        Args:
            paths: of one or several dataset files.
            window: what to take from them.
            mask: whose episodes: a mask that each file has, or `all`.
            on_episode: is called after each episode of a file whose index lacks something.

        Raises:
            DatasetError: a file is not a dataset or given twice, episodes or files do
                not fit together, or an array leads out of its file.
            EmbodiedError: a file has no such array, or no episode in the mask.
        """
        self.window = window
        self.mask = mask
        self.files = _distinct(paths)
        self._parts = [
            FileWindows(path, window, mask, on_episode) for path in self.files
        ]
        self.counts = tuple(len(part) for part in self._parts)
        self._ends = np.cumsum(self.counts)
        self._starts = self._ends - self.counts

        robots = [_robot_name(part) for part in self._parts]
        tasks = [str(part.metadata.get("task", "")) for part in self._parts]
        self.robots = tuple(dict.fromkeys(robots))
        self.tasks = tuple(dict.fromkeys(tasks))
        self._robot = [self.robots.index(name) for name in robots]
        self._task = [self.tasks.index(name) for name in tasks]

        every = dict.fromkeys(text for part in self._parts for text in part.sentences)
        self.instructions = tuple(every)
        number_of = {text: number for number, text in enumerate(self.instructions)}
        # by file: the number in `instructions` of each of the file's own sentences
        self._instruction = [
            np.array([number_of[text] for text in part.sentences])
            for part in self._parts
        ]
        self._rows = {name: self._common_row(name) for name in self.names}

    @property
    def names(self) -> list[str]:
        """The arrays that a window holds, those of its plan included."""
        return list(self._parts[0].keys)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, number: int) -> Batch:
        """Returns one window: as a batch of it, without the first axis."""
        if not -len(self) <= number < len(self):
            raise IndexError(f"no window {number}: there are {len(self)}")
        batch = self.batch(Request.of([number % len(self)]))
        return {name: values[0] for name, values in batch.items()}

    def __getitems__(self, numbers: Sequence[int] | Request) -> StackedWindows:
        """Returns several windows that are read at once, as torch's loaders ask."""
        request = numbers if isinstance(numbers, Request) else Request.of(numbers)
        return StackedWindows(self.batch(request))

    def batch(self, request: Request) -> Batch:
        """Returns the n windows of a request."""
        which = np.searchsorted(self._ends, request.numbers, side="right")  # (n,) files
        files = np.unique(which).tolist()
        if len(files) > 1:
            return _tensors(self._of_files(files, which, request))
        return _tensors(self._of_file(files[0], request))

    def load(self, max_bytes: int = DEFAULT_MEMORY_BYTES) -> list[str]:
        """Reads arrays into memory, the smallest first, as long as there is room.

        Call it before workers are started: they share what is in memory then.

        Args:
            max_bytes: what they may take together.

        Returns:
            The arrays that are in memory; the others are read from the disk.
        """
        sizes = {
            name: sum(part.memory_bytes(name) for part in self._parts)
            for name in self.names
        }
        loaded = []
        room = max_bytes
        for name in sorted(sizes, key=lambda name: sizes[name]):
            room -= sizes[name]
            if room < 0:
                break
            for part in self._parts:
                part.load(name)
            loaded.append(name)
        return loaded

    def row(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a row of an array, the widest of all files."""
        return self._rows[name]

    def filled(self, name: str) -> Tensor:
        """Returns which numbers of a row are real: (files, *row) bool."""
        filled = np.zeros((len(self._parts), *self._rows[name]), bool)
        for number, part in enumerate(self._parts):
            filled[number][_corner(part.row(name))] = True
        return torch.from_numpy(filled)

    def parts_by_robot(self) -> Iterator[list[FileWindows]]:
        """Yields the files of each robot, in the order of `robots`."""
        for robot in range(len(self.robots)):
            yield [
                part
                for part, owner in zip(self._parts, self._robot, strict=True)
                if owner == robot
            ]

    def close(self) -> None:
        """Closes the files; the next use opens them again."""
        for part in self._parts:
            part.close()

    def _of_file(self, file: int, request: Request) -> Arrays:
        """Returns windows that are all of one file, with rows of the common width."""
        part = self._parts[file]
        arrays = part.batch(request.numbers - self._starts[file], request.age)
        for name, row in self._rows.items():
            if part.row(name) != row:
                arrays[name] = _filled_up(arrays[name], row)

        # from numbers within the file to those within all files
        arrays["instruction"] = self._instruction[file][arrays["instruction"]]
        count = len(request.numbers)
        numbers = {"file": file, "robot": self._robot[file], "task": self._task[file]}
        for name, number in numbers.items():
            arrays[name] = np.full(count, number, np.int64)
        return arrays

    def _of_files(
        self, files: list[int], which: np.ndarray, request: Request
    ) -> Arrays:
        """Returns windows of several files; `which` is the file of each."""
        arrays: Arrays = {}
        for file in files:
            places = np.flatnonzero(which == file)
            of_file = Request(request.numbers[places], request.age[places])
            for name, values in self._of_file(file, of_file).items():
                if name not in arrays:
                    shape = (len(which), *values.shape[1:])
                    arrays[name] = np.empty(shape, values.dtype)
                arrays[name][places] = values
        return arrays

    def _common_row(self, name: str) -> tuple[int, ...]:
        """Returns the widest row of an array; raises DatasetError if files don't fit."""
        first = self._parts[0]
        rows = [part.row(name) for part in self._parts]

        # files must hold one kind of numbers with as many axes; vectors are filled up
        for part, row in zip(self._parts, rows, strict=True):
            fits = part.dtype(name) == first.dtype(name) and len(row) == len(rows[0])
            if is_picture_key(name):
                fits = fits and row == rows[0]  # pictures are not filled up
            if not fits:
                raise DatasetError(
                    f"{part.path} has {name} with rows {row} of {part.dtype(name)}, "
                    f"{first.path} {rows[0]} of {first.dtype(name)}: such windows do "
                    "not stack"
                )

        return tuple(max(widths) for widths in zip(*rows, strict=True))


class StackedWindows(Sequence[Batch]):
    """Several windows that are stacked already.

    A loader with torch's own collation takes them one by one, which is slower than
    `WindowLoader`, which takes the stack.
    """

    def __init__(self, stack: Batch) -> None:
        self.stack = stack

    def __len__(self) -> int:
        return len(self.stack["tick"])

    def __getitem__(self, number: Any) -> Any:
        return {name: values[number] for name, values in self.stack.items()}


def _tensors(arrays: Arrays) -> Batch:
    return {name: torch.from_numpy(values) for name, values in arrays.items()}


def _filled_up(values: np.ndarray, row: tuple[int, ...]) -> np.ndarray:
    """Returns values (n, ..., *narrow) as (n, ..., *row), filled up with zeros."""
    leading = values.shape[: values.ndim - len(row)]
    wide = np.zeros((*leading, *row), values.dtype)
    wide[_corner(values.shape)] = values
    return wide


def _corner(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Returns where an array of a shape lies in one that is as large or larger."""
    return tuple(map(slice, shape))


def _distinct(paths: str | Path | Sequence[str | Path]) -> tuple[Path, ...]:
    several = [paths] if isinstance(paths, str | Path) else paths
    files = tuple(map(Path, several))
    if not files:
        raise EmbodiedError("there is no dataset to take windows from: give a path")
    for file in files:
        if files.count(file) > 1:
            raise DatasetError(f"{file} is given twice")
    return files


def _robot_name(part: FileWindows) -> str:
    """Returns the robot of a file; with its control mode, which its actions depend on."""
    robot = str(part.metadata.get("robot", ""))
    interface = part.metadata.get("action_interface") or {}
    return f"{robot} {interface.get('mode', '')}".strip()
