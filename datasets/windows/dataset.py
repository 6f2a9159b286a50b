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
from embodied.datasets.index.row_positions import OnEpisode
from embodied.datasets.schema import DatasetError, is_picture_key
from embodied.datasets.windows.file_windows import Arrays, FileWindows
from embodied.datasets.windows.window import Window
from embodied.errors import EmbodiedError

DEFAULT_MASK = "train"
DEFAULT_MEMORY_BYTES = 2**30
# A window that is requested by its number alone gets the age of its plan from this number
# times the golden ratio, modulo 1: such ages are evenly distributed and reproducible.
GOLDEN_RATIO = (5**0.5 - 1) / 2

# name -> tensor with one row per window
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Request:
    """The numbers of the n windows of a batch, and the ages of their plans.

    Attributes:
        numbers: (n,) numbers of the windows.
        age: (n,) in [0, 1), the age of each window's plan within `Window.plan_age_s`: 0
            stands for the smallest age, 1 for the largest.
    """

    numbers: np.ndarray
    age: np.ndarray

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Request:
        """Returns a request with plan ages that depend on the windows' numbers only."""
        windows = np.asarray(numbers, np.int64)
        return cls(numbers=windows, age=windows * GOLDEN_RATIO % 1)


class Windows(torch.utils.data.Dataset[Batch], ClosedOnExit):
    """Windows over the arrays of datasets, to train a torch policy on.

        windows = Windows(
            ["totes.hdf5", "panels.hdf5"],
            Window({"obs/agent_pos": range(-1, 1), "actions": range(16)}),
        )
        for batch in WindowLoader(windows, batch_size=64, seed=0):
            batch["obs/agent_pos"]  # (64, 2, P) float32
            batch["actions"]  # (64, 16, J) float32
            batch["actions_is_pad"]  # (64, 16) whether a row is beyond the episode

    A batch also contains:

    - `file`, `robot`, `task` and `instruction`: indices into the attributes `files`,
      `robots`, `tasks` and `instructions`;
    - `episode`: the number of the episode in its file;
    - `tick`: the window's moment;
    - if the window has a plan: `plan_age_s`, and the plan's payload as `plan/<name>`.

    Floats are float32, images uint8 (H, W, 3), other numbers int64.

    Files may be of several tasks and robots. If rows differ in width between files, the
    narrower ones are padded with zeros; `filled` tells which numbers are not padding.

    Each process opens the files at its first use. Rows are read from the disk unless
    `load` has read them into memory.

    Attributes:
        window: the rows that each window contains.
        mask: the mask whose episodes are used.
        files: the paths of the files.
        counts: the number of windows in each file.
        robots: the names of the robots with their control modes.
        tasks: the names of the tasks.
        instructions: the different instructions.
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
            paths: the paths of one or several dataset files.
            window: the rows that each window contains.
            mask: the mask whose episodes are used, which each file must have; or `all`.
            on_episode: a function that is called after each episode that had to be
                searched, because the file's index lacked an array.

        Raises:
            DatasetError: a file is not a dataset, or is given twice; an array differs in
                form between episodes or files; or it is stored in another file.
            EmbodiedError: a file has no such array, or no episode in the mask.
        """
        self.window = window
        self.mask = mask
        self.files = _distinct(paths)
        self._parts = [
            FileWindows(path, window, mask, on_episode) for path in self.files
        ]
        # windows are numbered file by file: (files,) each file's first number, and its end
        self.counts = tuple(len(part) for part in self._parts)
        self._ends = np.cumsum(self.counts)
        self._starts = self._ends - self.counts

        # robots and tasks without duplicates; and for each file, its index in them
        robots = [_robot_name(part) for part in self._parts]
        tasks = [str(part.metadata.get("task", "")) for part in self._parts]
        self.robots = tuple(dict.fromkeys(robots))
        self.tasks = tuple(dict.fromkeys(tasks))
        self._robot = [self.robots.index(name) for name in robots]
        self._task = [self.tasks.index(name) for name in tasks]

        sentences = [text for part in self._parts for text in part.sentences]
        self.instructions = tuple(dict.fromkeys(sentences))
        indices = {text: index for index, text in enumerate(self.instructions)}
        # per file: index into the file's own sentences -> index into `instructions`
        self._instruction = [
            np.array([indices[text] for text in part.sentences]) for part in self._parts
        ]
        self._rows = {name: self._common_row(name) for name in self.names}

    @property
    def names(self) -> list[str]:
        """The names of the arrays in a window, including those of its plan."""
        return list(self._parts[0].keys)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, number: int) -> Batch:
        """Returns one window, in the form of a batch without the first axis."""
        if not -len(self) <= number < len(self):
            raise IndexError(f"no window {number}: there are {len(self)}")
        batch = self.batch(Request.of([number % len(self)]))
        return {name: values[0] for name, values in batch.items()}

    def __getitems__(self, numbers: Sequence[int] | Request) -> StackedWindows:
        """Returns several windows, which are read together; torch's loaders call it."""
        request = numbers if isinstance(numbers, Request) else Request.of(numbers)
        return StackedWindows(self.batch(request))

    def batch(self, request: Request) -> Batch:
        """Returns the n windows of a request."""
        # (n,) the file of each window
        file_of = np.searchsorted(self._ends, request.numbers, side="right")
        files = np.unique(file_of).tolist()
        if len(files) > 1:
            return _tensors(self._from_files(files, file_of, request))
        return _tensors(self._from_file(files[0], request))

    def load(self, max_bytes: int = DEFAULT_MEMORY_BYTES) -> list[str]:
        """Reads arrays into memory, the smallest array first, up to a total size.

        Call it before worker processes are started, so that they share the memory.

        Args:
            max_bytes: the largest total size of the arrays.

        Returns:
            The names of the arrays in memory; the others are read from the disk.
        """
        # the smallest first, so that as many arrays as possible fit
        sizes = {
            name: sum(part.memory_bytes(name) for part in self._parts)
            for name in self.names
        }
        loaded = []
        free_bytes = max_bytes
        for name in sorted(sizes, key=lambda name: sizes[name]):
            free_bytes -= sizes[name]
            if free_bytes < 0:
                break
            for part in self._parts:
                part.load(name)
            loaded.append(name)
        return loaded

    def row(self, name: str) -> tuple[int, ...]:
        """Returns the shape of an array's rows in a batch: the widest of all files."""
        return self._rows[name]

    def filled(self, name: str) -> Tensor:
        """Returns (files, *row) bool, which numbers of a row a file has.

        The other numbers are padding, because the rows of another file are wider.
        """
        filled = np.zeros((len(self._parts), *self._rows[name]), bool)
        for file, part in enumerate(self._parts):
            filled[file][_corner(part.row(name))] = True
        return torch.from_numpy(filled)

    def parts_by_robot(self) -> Iterator[list[FileWindows]]:
        """Yields the files of each robot, in the order of `robots`."""
        for robot in range(len(self.robots)):
            yield [
                part
                for part, robot_of_part in zip(self._parts, self._robot, strict=True)
                if robot_of_part == robot
            ]

    def close(self) -> None:
        """Closes the files; the next use opens them again."""
        for part in self._parts:
            part.close()

    def _from_file(self, file: int, request: Request) -> Arrays:
        """Returns windows of a single file, with rows padded to the common width.

        Args:
            file: the index of the file in `files`.
            request: the windows, all of this file, by their numbers among all windows.
        """
        part = self._parts[file]
        number_in_file = request.numbers - self._starts[file]
        arrays = part.batch(number_in_file, request.age)
        # pad rows that are narrower than the rows of another file
        for name, row in self._rows.items():
            if part.row(name) != row:
                arrays[name] = _padded(arrays[name], row)

        # the file gives an index into its own sentences; convert it to `instructions`
        arrays["instruction"] = self._instruction[file][arrays["instruction"]]
        indices = {"file": file, "robot": self._robot[file], "task": self._task[file]}
        for name, index in indices.items():
            arrays[name] = np.full(len(request.numbers), index, np.int64)
        return arrays

    def _from_files(
        self, files: list[int], file_of: np.ndarray, request: Request
    ) -> Arrays:
        """Returns windows of several files, in the order of the request.

        Args:
            files: the indices of the files in `files`.
            file_of: (n,) the index of each window's file.
            request: the request for the n windows.
        """
        arrays: Arrays = {}
        for file in files:
            # the positions in the batch of this file's windows
            rows = np.flatnonzero(file_of == file)
            file_request = Request(request.numbers[rows], request.age[rows])
            for name, values in self._from_file(file, file_request).items():
                if name not in arrays:
                    shape = (len(file_of), *values.shape[1:])
                    arrays[name] = np.empty(shape, values.dtype)
                arrays[name][rows] = values
        return arrays

    def _common_row(self, name: str) -> tuple[int, ...]:
        """Returns the widest row shape of an array over all files.

        Raises:
            DatasetError: files differ in the array's type or number of axes, or in the
                size of images, which cannot be padded.
        """
        first = self._parts[0]
        shapes = [part.row(name) for part in self._parts]

        # rows of different lengths are padded before they are stacked, except images
        for part, shape in zip(self._parts, shapes, strict=True):
            can_stack = part.dtype(name) == first.dtype(name)
            can_stack = can_stack and len(shape) == len(shapes[0])
            if is_picture_key(name):
                can_stack = can_stack and shape == shapes[0]
            if not can_stack:
                raise DatasetError(
                    f"{part.path} has {name} with rows {shape} of {part.dtype(name)}, "
                    f"{first.path} {shapes[0]} of {first.dtype(name)}: such windows do "
                    "not stack"
                )

        # the largest length of each axis
        return tuple(max(lengths) for lengths in zip(*shapes, strict=True))


class StackedWindows(Sequence[Batch]):
    """Several windows that are stacked already.

    torch's default collation unstacks and stacks them again, which is slow. `WindowLoader`
    takes the attribute `stack` instead.
    """

    def __init__(self, stack: Batch) -> None:
        self.stack = stack

    def __len__(self) -> int:
        return len(self.stack["tick"])

    def __getitem__(self, number: Any) -> Any:
        return {name: values[number] for name, values in self.stack.items()}


def _tensors(arrays: Arrays) -> Batch:
    return {name: torch.from_numpy(values) for name, values in arrays.items()}


def _padded(values: np.ndarray, row: tuple[int, ...]) -> np.ndarray:
    """Returns values (n, ..., *own row shape) as (n, ..., *row), padded with zeros.

    Args:
        values: the values of n windows, whose rows may be narrower than `row`.
        row: the row shape of the result.
    """
    leading_shape = values.shape[: values.ndim - len(row)]
    padded = np.zeros((*leading_shape, *row), values.dtype)
    padded[_corner(values.shape)] = values
    return padded


def _corner(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Returns the slices that select the first `shape[k]` entries along each axis k."""
    return tuple(slice(length) for length in shape)


def _distinct(paths: str | Path | Sequence[str | Path]) -> tuple[Path, ...]:
    """Returns the paths as a tuple; raises if there are none, or one is given twice."""
    path_list = [paths] if isinstance(paths, str | Path) else paths
    files = tuple(map(Path, path_list))
    if not files:
        raise EmbodiedError("there is no dataset to take windows from: give a path")
    for file in files:
        if files.count(file) > 1:
            raise DatasetError(f"{file} is given twice")
    return files


def _robot_name(part: FileWindows) -> str:
    """Returns a file's robot and the control mode of its actions, as `Windows.robots`."""
    robot = str(part.metadata.get("robot", ""))
    interface = part.metadata.get("action_interface") or {}
    return f"{robot} {interface.get('mode', '')}".strip()
