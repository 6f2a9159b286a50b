"""What an export takes from dataset files: which episodes, at which rate, and what each
of their frames holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from embodied.datasets.export.frames import (
    FrameSpec,
    SelectedEpisode,
    action_names,
    camera_sizes,
    depth_in_m,
    part_names,
    subtasks_of_frames,
    success_of_frames,
    truth_sizes,
    with_frames,
)
from embodied.datasets.guarded import require_sound_size
from embodied.datasets.reader import Dataset, require_distinct
from embodied.datasets.schema import (
    DEPTH_SUFFIX,
    IMAGE_SUFFIX,
    SEGMENTATION_SUFFIX,
    DatasetError,
    EpisodeMeta,
    Header,
)
from embodied.errors import unknown

ALL = "all"  # in place of a mask: every episode
STATE_KEY = "environment_state"
INTENDED_SINCE = 3  # the schema version in which actions became what was intended


@dataclass(frozen=True)
class Choice:
    """What a user wants of the files.

    Attributes:
        mask: the episodes of this mask; `all` for all of them.
        cameras: their names; None for those that all files have.
        hz: frames per second; None for the rate of the files.
    """

    mask: str = "success"
    cameras: tuple[str, ...] | None = None
    hz: int | None = None


class Selection:
    """The chosen episodes of one or several files of one robot.

        selection = Selection([Path("totes.hdf5")], Choice(mask="train"))
        for episode in selection.load(images=True):
            ...

    Attributes:
        paths: of the files.
        spec: what every frame holds.
        headers: of the files.
        omitted: what the files have and the selection has not, in words.

    Raises:
        DatasetError: a file cannot be read; the files do not fit together (names what
            differs); an episode is in two of them; no episode is chosen; or the rate is
            not a whole part of theirs.
        EmbodiedError: there is no such mask or camera.
    """

    def __init__(self, paths: Sequence[Path], choice: Choice) -> None:
        require_distinct(paths)
        self.paths = tuple(paths)
        self._datasets = [Dataset(path) for path in paths]
        self._chosen: list[tuple[int, int]] = []  # (index of the file, episode)
        for index, dataset in enumerate(self._datasets):
            self._chosen += [(index, n) for n in _numbers(dataset, choice.mask)]
        if not self._chosen:
            raise DatasetError(
                f"no episode of {', '.join(map(str, paths))} is in the mask"
                f" {choice.mask!r}; with --mask {ALL} every episode is taken"
            )

        self.headers = tuple(dataset.header for dataset in self._datasets)
        _require_one_robot(paths, self.headers)
        self._stride = _stride(self.headers[0], choice.hz)
        self.omitted: list[str] = []
        self.spec = self._frame_spec(choice)

    def __len__(self) -> int:
        return len(self._chosen)

    @property
    def total_episodes(self) -> int:
        """How many episodes the files hold, chosen or not."""
        return sum(len(dataset) for dataset in self._datasets)

    def load(
        self, images: bool, on_used: Callable[[int], None] | None = None
    ) -> LoadedEpisodes:
        """Returns the chosen episodes, in the order of the files.

        Args:
            images: whether to read the pictures, which are nearly all of the data.
            on_used: is called after each episode.
        """
        return LoadedEpisodes(self, images, on_used)

    @property
    def metas(self) -> list[EpisodeMeta]:
        """The rows of the table of the chosen episodes, at the rate of the selection."""
        return [
            with_frames(meta, -(-meta.num_samples // self._stride))
            for meta in (self._datasets[i].episodes[n] for i, n in self._chosen)
        ]

    @property
    def identity(self) -> list[Any]:
        """JSON that tells whether two selections give the same episodes."""
        stamps: list[Any] = []
        for path in self.paths:
            state = path.stat()
            stamps.append([str(path.absolute()), state.st_size, state.st_mtime_ns])
        return [stamps, self._chosen, self._stride, repr(self.spec)]

    def close(self) -> None:
        """Closes the files."""
        for dataset in self._datasets:
            dataset.close()

    def episode(self, place: int, images: bool) -> SelectedEpisode:
        """Returns the chosen episode at a place, at the rate of the selection.

        Raises:
            DatasetError: it cannot be read.
        """
        index, number = self._chosen[place]
        dataset = self._datasets[index]
        episode = dataset.episode(number, images=False)
        pictures = {}
        for camera in self.spec.cameras if images else ():
            key = f"obs/{camera}{IMAGE_SUFFIX}"
            pictures[camera] = dataset.read(
                number, key, slice(None, None, self._stride)
            )

        truth = {}
        for name in self.spec.truth if images else ():
            rows = dataset.read(number, f"obs/{name}", slice(None, None, self._stride))
            truth[name] = depth_in_m(rows) if name.endswith(DEPTH_SUFFIX) else rows

        # A frame of the export lasts for `_stride` frames of the file. It shows what
        # the first of them shows; its action and reward are those of the last.
        frames = np.arange(0, episode.meta.num_samples, self._stride)
        last = np.append(frames[1:], episode.meta.num_samples) - 1
        state = np.zeros((len(frames), 0), np.float32)
        if self.spec.state_names:
            state = episode.obs[STATE_KEY][frames]

        return SelectedEpisode(
            meta=with_frames(episode.meta, len(frames)),
            file_index=index,
            number=number,
            agent_pos=episode.obs["agent_pos"][frames],
            environment_state=state,
            images=pictures,
            actions=episode.actions[last],
            rewards=episode.rewards[last],
            success=success_of_frames(episode, frames),
            states=episode.states[frames],
            subtasks=subtasks_of_frames(episode, frames),
            truth=truth,
        )

    def _frame_spec(self, choice: Choice) -> FrameSpec:
        """Returns what the frames of all files have in common."""
        arrays = [self._row_shapes(index) for index in range(len(self.paths))]
        for path, shapes in zip(self.paths, arrays, strict=True):
            own = (shapes["obs/agent_pos"], shapes["actions"])
            if own != (arrays[0]["obs/agent_pos"], arrays[0]["actions"]):
                raise DatasetError(
                    f"{self.paths[0]} and {path} cannot be exported as one set:"
                    " agent_pos or actions have other widths"
                )

        metadata = self.headers[0].metadata
        num_actions = arrays[0]["actions"][0]
        cameras = self._cameras(arrays, choice.cameras)
        return FrameSpec(
            hz=self.headers[0].record_hz // self._stride,
            robot=str(metadata.get("robot", "")),
            agent_names=part_names(
                metadata, "agent_layout", arrays[0]["obs/agent_pos"][0]
            ),
            state_names=self._state_names(arrays),
            action_names=action_names(metadata, num_actions),
            cameras=cameras,
            truth=self._truth(arrays, cameras),
        )

    def _truth(
        self,
        arrays: Sequence[Mapping[str, tuple[int, ...]]],
        cameras: Mapping[str, tuple[int, int]],
    ) -> dict[str, tuple[int, int]]:
        """Returns the sizes of the depth and segmentation that all files have.

        The numbers in segmentation mean the same things only in files that list the
        same names; otherwise it is left out.
        """
        of_files = [truth_sizes(shapes, cameras) for shapes in arrays]
        tables = [h.metadata.get("segmentation_names") for h in self.headers]
        shared = {}
        for name, size in of_files[0].items():
            is_shared = all(sizes.get(name) == size for sizes in of_files)
            if name.endswith(SEGMENTATION_SUFFIX):
                is_shared = is_shared and all(table == tables[0] for table in tables)
            if is_shared:
                shared[name] = size
        for name in sorted(
            {name for sizes in of_files for name in sizes} - set(shared)
        ):
            self.omitted.append(f"{name}, which is not the same in all files")
        return shared

    def _row_shapes(self, index: int) -> dict[str, tuple[int, ...]]:
        """Returns the shape of a row of each array that an export may hold.

        The first episode stands for all of the file.
        """
        dataset = self._datasets[index]
        arrays = {
            key: array
            for key, array in dataset.arrays(0).items()
            if key.startswith("obs/") or key == "actions"
        }
        for array in arrays.values():
            require_sound_size(array)
        shapes = {key: tuple(array.shape[1:]) for key, array in arrays.items()}
        for key in ("obs/agent_pos", "actions"):
            if len(shapes.get(key, ())) != 1:
                raise DatasetError(f"{dataset.path} is damaged: {key} has no rows")
        return shapes

    def _state_names(
        self, arrays: Sequence[Mapping[str, tuple[int, ...]]]
    ) -> tuple[str, ...]:
        """Returns the names of the privileged state, if it is the same in all files."""
        widths = [shapes.get(f"obs/{STATE_KEY}", (0,))[0] for shapes in arrays]
        if not any(widths):
            return ()

        # names of the elements, one set of names per file
        names = {
            part_names(header.metadata, "state_layout", width)
            for header, width in zip(self.headers, widths, strict=True)
        }
        if len(names) == 1:
            return names.pop()
        self.omitted.append(f"{STATE_KEY}, which differs between the files")
        return ()

    def _cameras(
        self,
        arrays: Sequence[Mapping[str, tuple[int, ...]]],
        wanted: tuple[str, ...] | None,
    ) -> dict[str, tuple[int, int]]:
        """Returns the sizes of the cameras that all files have, or that are wanted."""
        of_files = [camera_sizes(shapes) for shapes in arrays]
        shared = dict(of_files[0])
        for cameras in of_files[1:]:
            shared = {
                name: size for name, size in shared.items() if cameras.get(name) == size
            }

        if wanted is None:
            every = sorted({name for cameras in of_files for name in cameras})
            for name in every:
                if name not in shared:
                    self.omitted.append(
                        f"camera {name}, which not all files have in one size"
                    )
            return shared

        for name in wanted:
            if name not in shared:
                raise unknown("camera that all files have in one size", name, shared)
        return {name: shared[name] for name in wanted}


class LoadedEpisodes:
    """The episodes of a selection, each of which is read when it is its turn."""

    def __init__(
        self, selection: Selection, images: bool, on_used: Callable[[int], None] | None
    ) -> None:
        self._selection = selection
        self._images = images
        self._on_used = on_used

    def __len__(self) -> int:
        return len(self._selection)

    def __iter__(self) -> Iterator[SelectedEpisode]:
        return self.after(0)

    def after(self, count: int) -> Iterator[SelectedEpisode]:
        """Yields all episodes but the first `count`, which an earlier call has used."""
        if count:
            self._report(count)
        for place in range(count, len(self)):
            yield self._selection.episode(place, self._images)
            self._report(1)

    def _report(self, count: int) -> None:
        if self._on_used is not None:
            self._on_used(count)


def after(episodes: Iterable[SelectedEpisode], count: int) -> Iterator[SelectedEpisode]:
    """Yields all but the first `count` episodes; those of a selection are not read."""
    if isinstance(episodes, LoadedEpisodes):
        return episodes.after(count)
    return islice(episodes, count, None)


def _numbers(dataset: Dataset, mask: str) -> list[int]:
    if mask == ALL:
        return list(range(len(dataset)))
    return dataset.mask(mask)


def _require_one_robot(paths: Sequence[Path], headers: Sequence[Header]) -> None:
    """Raises DatasetError unless the frames of all files mean the same."""
    first = _meaning(headers[0])
    for path, header in zip(paths, headers, strict=True):
        for name, value in _meaning(header).items():
            if value != first[name]:
                raise DatasetError(
                    f"{paths[0]} and {path} cannot be exported as one set: {name} is"
                    f" {first[name]!r} in the one, {value!r} in the other"
                )


def _meaning(header: Header) -> dict[str, object]:
    """Returns what must be equal for two files to be exported as one set."""
    metadata = header.metadata
    return {
        "robot": metadata.get("robot"),
        "record_hz": header.record_hz,
        "the parts of agent_pos": metadata.get("agent_layout"),
        "the meaning of actions": metadata.get("joint_interface"),
        "whether actions are as intended": header.schema_version >= INTENDED_SINCE,
    }


def _stride(header: Header, hz: int | None) -> int:
    """Returns how many frames of the files make one of the export."""
    rate = header.record_hz  # the same in all files
    if hz is None:
        return 1
    rates = [whole for whole in range(1, rate + 1) if rate % whole == 0]
    if hz not in rates:
        raise DatasetError(
            f"frames were recorded at {rate} Hz, so they can be exported at"
            f" {', '.join(map(str, rates))} Hz, not at {hz}"
        )
    return rate // hz
