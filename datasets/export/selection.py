"""The episodes, cameras and frame rate that an export takes from dataset files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from embodied.datasets.export.compatibility import frame_stride, require_one_robot
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
)
from embodied.errors import unknown

ALL = "all"  # stands for a mask with every episode
STATE_KEY = "environment_state"


@dataclass(frozen=True)
class Choice:
    """The user's choice of episodes, cameras and frame rate.

    Attributes:
        mask: the name of the mask whose episodes are exported; `all` for every episode.
        cameras: the names of the cameras to export; None for the cameras that all files
            have.
        hz: frames per second in the export; None for the rate of the files.
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
        paths: the paths of the files.
        spec: the arrays of a frame, with names and sizes.
        headers: the headers of the files.
        omitted: phrases on the arrays that are left out, because not all files have them
            in the same form.

    Args:
        paths: the paths of the files.
        choice: the choice of episodes, cameras and frame rate.

    Raises:
        DatasetError: a file cannot be read; the files differ in robot, rate or arrays
            (the message says in what); two files hold the same episode; no episode is
            chosen; or the chosen rate does not divide the files' rate.
        EmbodiedError: there is no such mask or camera.
    """

    def __init__(self, paths: Sequence[Path], choice: Choice) -> None:
        """Opens the files, and checks that their episodes can be exported together."""
        require_distinct(paths)
        self.paths = tuple(paths)
        self._datasets = [Dataset(path) for path in paths]
        # (index of the file, number of the episode in it) of each chosen episode
        self._chosen: list[tuple[int, int]] = []
        for index, dataset in enumerate(self._datasets):
            numbers = _numbers_in_mask(dataset, choice.mask)
            self._chosen += [(index, number) for number in numbers]
        if not self._chosen:
            raise DatasetError(
                f"no episode of {', '.join(map(str, paths))} is in the mask"
                f" {choice.mask!r}; with --mask {ALL} every episode is taken"
            )

        self.headers = tuple(dataset.header for dataset in self._datasets)
        require_one_robot(paths, self.headers)
        self._stride = frame_stride(self.headers[0], choice.hz)
        self.omitted: list[str] = []
        self.spec = self._frame_spec(choice)

    def __len__(self) -> int:
        return len(self._chosen)

    @property
    def total_episodes(self) -> int:
        """The number of episodes in the files, chosen or not."""
        return sum(len(dataset) for dataset in self._datasets)

    def load(
        self, images: bool, on_used: Callable[[int], None] | None = None
    ) -> LoadedEpisodes:
        """Returns the chosen episodes, in the order of the files.

        Args:
            images: whether to read the images, which are nearly all of the data.
            on_used: a function that is called with 1 when the caller has used an episode.
        """
        return LoadedEpisodes(self, images, on_used)

    @property
    def metas(self) -> list[EpisodeMeta]:
        """The chosen episodes' rows of the table, with their numbers of exported frames."""
        metas = []
        for index, number in self._chosen:
            meta = self._datasets[index].episodes[number]
            exported_frames = -(-meta.num_samples // self._stride)  # rounded up
            metas.append(with_frames(meta, exported_frames))
        return metas

    @property
    def identity(self) -> list[Any]:
        """JSON that is equal for two selections only if their episodes are the same."""
        file_states: list[Any] = []
        for path in self.paths:
            stat = path.stat()
            file_states.append([str(path.absolute()), stat.st_size, stat.st_mtime_ns])
        return [file_states, self._chosen, self._stride, repr(self.spec)]

    def close(self) -> None:
        """Closes the files."""
        for dataset in self._datasets:
            dataset.close()

    def episode(self, index: int, images: bool) -> SelectedEpisode:
        """Reads one of the chosen episodes, at the frame rate of the export.

        Args:
            index: the position of the episode among the chosen episodes, from 0.
            images: whether to read the images.

        Raises:
            DatasetError: the episode cannot be read.
        """
        file_index, number = self._chosen[index]
        dataset = self._datasets[file_index]
        episode = dataset.episode(number, images=False)
        # An exported frame covers `_stride` frames of the file. Observations are taken
        # from the first of these frames, action and reward from the last.
        exported_rows = slice(None, None, self._stride)
        pictures = {}
        truth = {}
        if images:
            for camera in self.spec.cameras:
                key = f"obs/{camera}{IMAGE_SUFFIX}"
                pictures[camera] = dataset.read(number, key, exported_rows)
            for name in self.spec.truth:
                rows = dataset.read(number, f"obs/{name}", exported_rows)
                truth[name] = depth_in_m(rows) if name.endswith(DEPTH_SUFFIX) else rows

        # (F,) the first and the last frame of the file that each exported frame covers
        frames = np.arange(0, episode.meta.num_samples, self._stride)
        last = np.append(frames[1:], episode.meta.num_samples) - 1
        state = np.zeros((len(frames), 0), np.float32)
        if self.spec.state_names:
            state = episode.obs[STATE_KEY][frames]

        return SelectedEpisode(
            meta=with_frames(episode.meta, len(frames)),
            file_index=file_index,
            number=number,
            agent_pos=episode.obs["agent_pos"][frames],
            environment_state=state,
            images=pictures,
            actions=episode.actions[last],
            rewards=episode.rewards[last],
            success=success_of_frames(episode, frames),
            states=episode.states[frames],
            subtasks=subtasks_of_frames(episode, frames),
            tick=episode.frame_tick[frames],
            plans=episode.plans,
            truth=truth,
        )

    def _frame_spec(self, choice: Choice) -> FrameSpec:
        """Returns the arrays of a frame that all files share, with names and sizes.

        Appends to `omitted` a phrase on each array that is left out.

        Raises:
            DatasetError: the files differ in the width of agent_pos or actions.
            EmbodiedError: a chosen camera is not in all files.
        """
        # for each file, the name of an array -> the shape of one row; the widths must agree
        shapes_of_files = [self._row_shapes(index) for index in range(len(self.paths))]
        first = shapes_of_files[0]
        for path, shapes in zip(self.paths, shapes_of_files, strict=True):
            for key in ("obs/agent_pos", "actions"):
                if shapes[key] != first[key]:
                    raise DatasetError(
                        f"{self.paths[0]} and {path} cannot be exported as one set:"
                        f" {key.removeprefix('obs/')} have other widths"
                    )

        metadata = self.headers[0].metadata
        (agent_width,) = first["obs/agent_pos"]
        (action_width,) = first["actions"]
        cameras = self._cameras(shapes_of_files, choice.cameras)
        return FrameSpec(
            hz=self.headers[0].record_hz // self._stride,
            robot=str(metadata.get("robot", "")),
            agent_names=part_names(metadata, "agent_layout", agent_width),
            state_names=self._state_names(shapes_of_files),
            action_names=action_names(metadata, action_width),
            cameras=cameras,
            truth=self._shared_truth(shapes_of_files, cameras),
        )

    def _shared_truth(
        self,
        shapes_of_files: Sequence[Mapping[str, tuple[int, ...]]],
        cameras: Mapping[str, tuple[int, int]],
    ) -> dict[str, tuple[int, int]]:
        """Returns the size (H, W) of each array of depth or segmentation to export, by name.

        An array is left out if not all files have it in the same size. Segmentation is
        also left out if the files list different names, because its numbers then mean
        different things. Appends to `omitted` a phrase on each array that is left out.

        Args:
            shapes_of_files: for each file, the name of an array -> the shape of one row.
            cameras: the exported cameras.
        """
        sizes_of_files = [truth_sizes(shapes, cameras) for shapes in shapes_of_files]
        names_of_files = [
            header.metadata.get("segmentation_names") for header in self.headers
        ]
        has_same_names = all(names == names_of_files[0] for names in names_of_files)

        shared = {}
        for name, size in sizes_of_files[0].items():
            is_shared = all(sizes.get(name) == size for sizes in sizes_of_files)
            if name.endswith(SEGMENTATION_SUFFIX):
                is_shared = is_shared and has_same_names
            if is_shared:
                shared[name] = size

        all_names = {name for sizes in sizes_of_files for name in sizes}
        for name in sorted(all_names - shared.keys()):
            self.omitted.append(f"{name}, which is not the same in all files")
        return shared

    def _row_shapes(self, index: int) -> dict[str, tuple[int, ...]]:
        """Returns name -> shape of one row, for the arrays that may be exported.

        The arrays and shapes are those of the file's first episode.

        Args:
            index: the index of the file.

        Raises:
            DatasetError: the file is damaged.
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
        self, shapes_of_files: Sequence[Mapping[str, tuple[int, ...]]]
    ) -> tuple[str, ...]:
        """Returns the names of the privileged state's elements; () if it is not exported.

        The state is not exported if the files have none, or if it differs between the
        files. In the second case, a phrase on it is appended to `omitted`.

        Args:
            shapes_of_files: for each file, the name of an array -> the shape of one row.
        """
        widths = [shapes.get(f"obs/{STATE_KEY}", (0,))[0] for shapes in shapes_of_files]
        if not any(widths):
            return ()

        # a set: files with the same names add only one entry
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
        shapes_of_files: Sequence[Mapping[str, tuple[int, ...]]],
        wanted: tuple[str, ...] | None,
    ) -> dict[str, tuple[int, int]]:
        """Returns the image size (H, W) of each camera to export, by the camera's name.

        Args:
            shapes_of_files: for each file, the name of an array -> the shape of one row.
            wanted: the names of the cameras; None for the cameras that all files have in
                the same size. For each other camera a phrase is appended to `omitted`.

        Raises:
            EmbodiedError: not all files have a wanted camera in the same size.
        """
        sizes_of_files = [camera_sizes(shapes) for shapes in shapes_of_files]
        shared = {
            name: size
            for name, size in sizes_of_files[0].items()
            if all(sizes.get(name) == size for sizes in sizes_of_files)
        }

        if wanted is None:
            all_names = {name for sizes in sizes_of_files for name in sizes}
            for name in sorted(all_names - shared.keys()):
                self.omitted.append(
                    f"camera {name}, which not all files have in the same size"
                )
            return shared

        for name in wanted:
            if name not in shared:
                raise unknown(
                    "camera that all files have in the same size", name, shared
                )
        return {name: shared[name] for name in wanted}


class LoadedEpisodes:
    """The episodes of a selection. An episode is read when the iteration reaches it."""

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
        """Yields all episodes except the first `count`, which are only reported as used.

        A killed export has written these already.
        """
        if count:
            self._report(count)
        for index in range(count, len(self)):
            yield self._selection.episode(index, self._images)
            self._report(1)

    def _report(self, count: int) -> None:
        if self._on_used is not None:
            self._on_used(count)


def after(episodes: Iterable[SelectedEpisode], count: int) -> Iterator[SelectedEpisode]:
    """Returns all episodes except the first `count`.

    A selection's episodes are skipped without reading them.
    """
    if isinstance(episodes, LoadedEpisodes):
        return episodes.after(count)
    return islice(episodes, count, None)


def _numbers_in_mask(dataset: Dataset, mask: str) -> list[int]:
    """Returns the numbers of a dataset's episodes in a mask, which may be `ALL`."""
    if mask == ALL:
        return list(range(len(dataset)))
    return dataset.mask(mask)
