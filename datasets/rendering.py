"""Rendering images of recorded episodes, as if they had been recorded with cameras.

Episodes are played again with their recorded actions, and their states are compared at
each control step. So the images are those of a recording with cameras, bit for bit: at
the same frames, with the same pixel noise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.datasets.playing import recorded_start, require_playable
from embodied.datasets.reader import Dataset
from embodied.datasets.render_request import RenderRequest
from embodied.datasets.replay import changes
from embodied.datasets.schema import (
    DEPTH_SUFFIX,
    H5,
    IMAGE_SUFFIX,
    SEGMENTATION_SUFFIX,
    DatasetError,
    Episode,
    Header,
    is_picture_key,
)
from embodied.datasets.writer import EpisodeWriter
from embodied.envs.config import EnvConfig
from embodied.envs.ground_truth import GroundTruth
from embodied.envs.worlds import Worlds
from embodied.rollout.shards import Report

# The largest uint16. In depth images in mm it stands for this distance or a larger one.
FAR_MM = 65535
# A process keeps the images of its running episodes in memory. It plays only as many
# episodes at the same time as have images of this size in total.
MOST_PICTURE_BYTES = 2**30


@dataclass(frozen=True)
class RenderWork:
    """The work of one of the processes that render a dataset.

    Attributes:
        source: the dataset whose episodes are played.
        target: the dataset to write.
        header: the header of the target.
        config: the config of the worlds.
        request: the images to render.
        num_envs: the largest number of episodes that are played at the same time.
    """

    source: Path
    target: Path
    header: Header
    config: EnvConfig
    request: RenderRequest
    num_envs: int = 16

    def __call__(self, seeds: Sequence[int], report: Report) -> list[int]:
        """Renders the episodes of some seeds; reports each seed when it is written.

        Returns:
            The seeds, all of which are rendered.
        """
        dataset = Dataset(self.source)
        number_by_seed = {
            meta.seed: number for number, meta in enumerate(dataset.episodes)
        }
        numbers = [number_by_seed[seed] for seed in seeds]
        with (
            dataset,
            EpisodeWriter(self.target, self.header, mode="join") as writer,
            closing(Worlds(self.config, self._num_worlds(dataset, numbers))) as worlds,
            closing(GroundTruth(worlds)) as truth,
        ):
            # a process that died may have rendered some of these episodes: begin anew
            writer.forget(seeds)
            rendering = _Rendering(
                self, dataset, writer, worlds=worlds, truth=truth, report=report
            )
            rendering.run(numbers)
        return list(seeds)

    def _num_worlds(self, dataset: Dataset, numbers: Sequence[int]) -> int:
        """Returns the number of episodes to play at the same time.

        The limits are `num_envs`, and the memory `MOST_PICTURE_BYTES` for their images.
        """
        # bytes: 3 for colour (3 x uint8), 4 for depth (float32 at most), 2 for segmentation
        # (uint16)
        bytes_per_pixel = (
            3 + 4 * bool(self.request.depth) + 2 * self.request.segmentation
        )
        pixels = len(self.config.cameras or ()) * self.config.image_size**2
        frames = max(dataset.episodes[number].num_samples for number in numbers)
        bytes_per_episode = max(1, frames * pixels * bytes_per_pixel)
        # the longest episode decides, and at least one episode is always played
        most_in_memory = MOST_PICTURE_BYTES // bytes_per_episode
        return max(1, min(self.num_envs, len(numbers), most_in_memory))


@dataclass
class _Playing:
    """An episode that is being played in a world.

    Attributes:
        number: the number of the episode in the recorded file.
        episode: the episode as it was recorded, with the looks to render.
        row: the number of control steps played so far, which is the row of the next step
            in the streams.
        frame: the number of frames taken so far, which is the number of the next frame.
        newest: the depth and segmentation images (H, W, 1) at the time of the cameras'
            newest colour images, by key.
        pictures: the images of the frames so far, by key.
        image_ticks: the tick at which the images of each frame so far were captured.
    """

    number: int
    episode: Episode
    row: int = 0
    frame: int = 0
    newest: dict[str, np.ndarray] = field(default_factory=dict)
    pictures: dict[str, list[np.ndarray]] = field(default_factory=dict)
    image_ticks: list[int] = field(default_factory=list)


class _Rendering:
    """Plays episodes, one per world at a time, and renders their frames."""

    def __init__(
        self,
        work: RenderWork,
        dataset: Dataset,
        writer: EpisodeWriter,
        worlds: Worlds,
        truth: GroundTruth,
        report: Report,
    ) -> None:
        """Begins without running episodes.

        Args:
            work: the work of this process.
            dataset: the dataset whose episodes are played.
            writer: the writer of the rendered episodes.
            worlds: the worlds in which episodes are played.
            truth: the renderer of depth and segmentation.
            report: a function that is called with each finished episode's seed.
        """
        self._request = work.request
        self._dataset = dataset
        self._writer = writer
        self._worlds = worlds
        self._truth = truth
        self._report = report

        self._playing: dict[int, _Playing] = {}  # by world

    def run(self, numbers: Sequence[int]) -> None:
        """Renders the episodes of these numbers."""
        waiting = deque(numbers)
        while waiting or self._playing:
            self._begin(waiting)
            self._take_frames()
            self._step()

    def _begin(self, waiting: deque[int]) -> None:
        """Begins a waiting episode in each world without an episode.

        Args:
            waiting: the numbers of the waiting episodes, from which episodes that begin
                are removed.
        """
        for world in range(self._worlds.num_worlds):
            if world in self._playing or not waiting:
                continue
            number = waiting.popleft()
            episode = self._dataset.episode(number, images=False)
            require_playable(self._worlds, episode)
            looks = self._request.looks.sample(
                self._worlds.spec.table, episode.meta.seed
            )
            self._worlds.begin_recorded(world, recorded_start(episode), looks)
            if looks:
                episode = self._with_looks(episode, world)
            self._playing[world] = _Playing(number, episode)

    def _with_looks(self, episode: Episode, world: int) -> Episode:
        """Returns an episode whose variation and start have the changed looks of its world."""
        start = self._worlds.episode_start(world)
        meta = replace(episode.meta, variation=start.variation)
        return replace(episode, meta=meta, start_fields=start.fields)

    def _take_frames(self) -> None:
        """Renders the frames of the worlds whose episode has one at the current tick."""
        due = []
        for world, playing in self._playing.items():
            frame_ticks = playing.episode.frame_tick
            has_frames_left = playing.frame < len(frame_ticks)
            if has_frames_left and frame_ticks[playing.frame] == self._tick(playing):
                due.append(world)
                self._check_state(world, playing)

        observation = self._worlds.observe(privileged=False)
        captured = observation.pixels_tick  # (N,)
        assert captured is not None
        # Between two images of a slow camera, a frame gets the older image. So depth and
        # segmentation are rendered when an image is captured, to show the same moment.
        for world, playing in self._playing.items():
            if captured[world] == self._tick(playing):
                playing.newest = self._ground_truth(world)
        for world in due:
            colours = {
                camera + IMAGE_SUFFIX: frames[world].copy()
                for camera, frames in observation.pixels.items()
            }
            self._add_frame(self._playing[world], colours, int(captured[world]))

    def _tick(self, playing: _Playing) -> int:
        """Returns the current tick of an episode."""
        return playing.row * self._worlds.ticks_per_step

    def _add_frame(
        self, playing: _Playing, colours: dict[str, np.ndarray], captured: int
    ) -> None:
        """Adds the images of a frame to an episode.

        Args:
            playing: the episode.
            colours: the colour images (H, W, 3), by key.
            captured: the tick at which the colour images were captured.
        """
        for key, picture in {**colours, **playing.newest}.items():
            playing.pictures.setdefault(key, []).append(picture)
        playing.image_ticks.append(captured)
        playing.frame += 1

    def _check_state(self, world: int, playing: _Playing) -> None:
        """Compares the state of a world with the recorded state of the next frame.

        If the states differ, the recorded state is set, provided that `set_states` is on.

        Raises:
            DatasetError: the states differ, and `set_states` is off.
        """
        recorded = playing.episode.states[playing.frame]
        state = self._worlds.physics_state()[world]
        if np.array_equal(state, recorded):
            return
        if not self._request.set_states:
            raise self._replay_error(playing)
        self._worlds.put_physics_state(world, recorded)

    def _ground_truth(self, world: int) -> dict[str, np.ndarray]:
        """Returns key -> (H, W, 1) the cameras' depth and segmentation images now."""
        images = {}
        for camera in self._worlds.cameras:
            if self._request.depth:
                depth = self._truth.depth_m(world, camera)
                is_metric = self._request.depth == "m"
                images[camera + DEPTH_SUFFIX] = depth if is_metric else as_mm(depth)
            if self._request.segmentation:
                segmentation = self._truth.segmentation(world, camera)
                images[camera + SEGMENTATION_SUFFIX] = segmentation
        return images

    def _step(self) -> None:
        """Advances all worlds by one control step, and writes the episodes that end."""
        worlds = self._worlds
        labels = worlds.interface.labels
        # worlds without an episode rest, so their action has no effect
        actions = np.zeros((worlds.num_worlds, len(labels)), np.float32)
        for world, playing in self._playing.items():
            actions[world] = playing.episode.streams["action"].value[playing.row]
        worlds.step(actions)

        # Compare the worlds with the recorded checksums, and end the episodes without a
        # next step. Worlds that are set to recorded states may differ from the recording.
        checksums = worlds.checksum()
        for world, playing in list(self._playing.items()):
            recorded = playing.episode.streams["checksum"].value[playing.row]
            playing.row += 1
            if checksums[world] != recorded and not self._request.set_states:
                raise self._replay_error(playing)
            if playing.row == len(playing.episode.streams["action"].value):
                self._end(world)

    def _end(self, world: int) -> None:
        """Writes the episode of a world, and lets the world rest."""
        playing = self._playing.pop(world)
        self._worlds.rest(np.array([world]))
        episode = playing.episode
        if playing.frame != len(episode.frame_tick):
            raise DatasetError(
                f"episode {playing.number} of {self._dataset.path} is damaged: its "
                "frames are no whole control steps apart"
            )

        # Insert the keys in the order of a recording: proprioception, colour images, all
        # others. Then the file has the same bytes as a recording. A dict keeps the order of
        # the first insertion, so setting a key again does not change the order.
        pictures = {key: np.stack(rows) for key, rows in playing.pictures.items()}
        colours = {
            key: rows for key, rows in pictures.items() if key.endswith(IMAGE_SUFFIX)
        }
        obs = {"agent_pos": episode.obs["agent_pos"], **colours}
        obs |= episode.obs
        obs |= pictures
        rendered = replace(episode, obs=obs, image_tick=np.array(playing.image_ticks))

        stored = self._dataset.group(playing.number)
        self._writer.write(rendered, lambda demo: copy_missing(stored, demo))
        self._report(episode.meta.seed)

    def _replay_error(self, playing: _Playing) -> DatasetError:
        """Returns the error for an episode whose states differ from the recorded states."""
        recorded = self._dataset.header.metadata
        causes = changes(recorded, self._worlds.metadata())
        why = "; ".join(causes) or "model and versions are those of the recording"
        seconds = self._tick(playing) / PHYSICS_HZ
        return DatasetError(
            f"episode {playing.number} of {self._dataset.path} does not replay: its "
            f"states differ from {seconds:.3f} s on ({why}); --set-states renders the "
            "recorded states of the frames all the same"
        )


def as_mm(depth_m: np.ndarray) -> np.ndarray:
    """Returns depth in mm as uint16, limited to `FAR_MM`.

    Args:
        depth_m: the depth in m, an array of any shape.
    """
    return np.minimum(np.rint(depth_m * 1000.0), FAR_MM).astype(np.uint16)


def copy_missing(source: H5, target: H5) -> None:
    """Copies the attributes and arrays of a demo that the target does not have yet.

    Other tools added them. Links are not copied, because they may lead to other files;
    images are not copied, because the target has rendered ones.

    Args:
        source: a group of the recorded file.
        target: the group to copy to.
    """
    for name, value in source.attrs.items():
        if name not in target.attrs:
            target.attrs[name] = value
    for name in source:
        is_own = isinstance(source.get(name, getlink=True), h5py.HardLink)
        if not is_own or is_picture_key(name) or name == "image_tick":
            continue
        if name not in target:
            source.copy(name, target)
        elif isinstance(source[name], h5py.Group):
            copy_missing(source[name], target[name])
