"""Rendering the pictures of recorded episodes, as if they had been recorded with them.

Episodes are played again with their recorded actions, and their states are compared at
each control step. So the pictures are those that a recording with cameras would have
made, bit for bit, with the same frames and the same noise of the pixels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.datasets.playing import require_playable, start_of
from embodied.datasets.reader import Dataset
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
from embodied.envs.looks import Looks
from embodied.envs.worlds import Worlds
from embodied.rollout.shards import Report

Depth = Literal["mm", "m"]

FAR_MM = 65535  # the largest uint16: depth in mm says so of all that is farther, too
# A process holds the pictures of the episodes it plays until they are over, and plays
# only so many at once that these come to no more.
MOST_PICTURE_BYTES = 2**30


@dataclass(frozen=True)
class Wanted:
    """What is rendered of each episode.

    Attributes:
        cameras: their names; None for those of the recording, else those of the task.
        image_size: height and width in pixels; None for that of the recording.
        depth: the unit of depth pictures; None for no such pictures.
        segmentation: whether to render which thing is where.
        looks: what changes of light, cameras and pixels.
        set_states: whether to take the recorded states where those that are played
            differ from them.
    """

    cameras: tuple[str, ...] | None = None
    image_size: int | None = None
    depth: Depth | None = None
    segmentation: bool = False
    looks: Looks = field(default_factory=Looks)
    set_states: bool = False


@dataclass(frozen=True)
class RenderWork:
    """The work of one of the processes that take part in a rendering.

    Attributes:
        source: the dataset whose episodes are played.
        target: the dataset to be.
        header: of the target.
        config: of the worlds.
        wanted: what is rendered.
        num_envs: how many episodes are played at once, at most.
    """

    source: Path
    target: Path
    header: Header
    config: EnvConfig
    wanted: Wanted
    num_envs: int = 16

    def __call__(self, seeds: Sequence[int], report: Report) -> list[int]:
        """Renders the episodes of these seeds; reports each, and returns the seeds."""
        dataset = Dataset(self.source)
        number_of = {meta.seed: i for i, meta in enumerate(dataset.episodes)}
        numbers = [number_of[seed] for seed in seeds]
        with (
            dataset,
            EpisodeWriter(self.target, self.header, "join") as writer,
            closing(Worlds(self.config, self._num_worlds(dataset, numbers))) as worlds,
            closing(GroundTruth(worlds)) as truth,
        ):
            # what a process that died has left is rendered again
            writer.forget(seeds)
            _Rendering(self, dataset, writer, worlds, truth, report).run(numbers)
        return list(seeds)

    def _num_worlds(self, dataset: Dataset, numbers: Sequence[int]) -> int:
        """Returns how many episodes are played at once, within the memory for them."""
        # colours uint8, depth float32 (at most), segmentation uint16
        bytes_per_pixel = 3 + 4 * bool(self.wanted.depth) + 2 * self.wanted.segmentation
        pixels = len(self.config.cameras or ()) * self.config.image_size**2
        frames = max(dataset.episodes[number].num_samples for number in numbers)
        fitting = MOST_PICTURE_BYTES // max(1, frames * pixels * bytes_per_pixel)
        return max(1, min(self.num_envs, len(numbers), fitting))


def rendered_config(header: Header, config: EnvConfig, wanted: Wanted) -> EnvConfig:
    """Returns the config of worlds that show what is wanted.

    Args:
        header: of the recording.
        config: of the worlds that replay it, see `replay_config`.
        wanted: what is rendered.

    Raises:
        EmbodiedError: there is no such camera, or no camera at all; or the size is out
            of its range.
    """
    recorded = header.metadata["config"]
    seen = tuple(recorded.get("cameras") or ())
    size = wanted.image_size or recorded.get("image_size", EnvConfig.image_size)
    # Cameras that the policy saw keep their rate; new ones take a picture per frame.
    camera_hz = recorded.get("camera_hz") if seen else header.record_hz
    cameras = wanted.cameras or seen or None
    return replace(
        config,
        obs="both",
        cameras=cameras,
        camera_hz=camera_hz,
        image_size=size,
        num_threads=1,
    )


def rendered_header(header: Header, worlds: Worlds, wanted: Wanted) -> Header:
    """Returns the header of the dataset to be.

    It is the header that a recording with these cameras would have had, with what such a
    recording would not have.
    """
    config = {
        **header.metadata["config"],
        "obs": worlds.config.obs,
        "cameras": list(worlds.cameras),
        "camera_hz": worlds.config.camera_hz,
        "image_size": worlds.config.image_size,
    }

    # what only a copy says: how it was made, and what else its pictures are
    added: dict[str, Any] = {}
    if wanted.depth:
        added["depth_unit"] = wanted.depth
    if wanted.segmentation:
        with closing(GroundTruth(worlds)) as truth:
            added["segmentation_names"] = list(truth.names)

    if wanted.looks:
        added["looks"] = wanted.looks.as_text()
    if wanted.set_states:
        added["pictures_of"] = "recorded states"

    present = worlds.metadata()
    if present["versions"] != header.metadata.get("versions"):
        added["rendered_with"] = present["versions"]
    return replace(header, metadata={**header.metadata, "config": config, **added})


@dataclass
class _Playing:
    """An episode that is played in a world.

    Attributes:
        number: of the episode in its file.
        episode: as it was recorded.
        row: how many control steps were played, so the row of the next one in the
            streams.
        frame: the number of the next frame to take.
        newest: (H, W, 1) depth and segmentation that belong to the cameras' newest
            pictures, by key.
        pictures: those of the frames so far, by key.
        image_ticks: when the pictures of each frame were taken.
    """

    number: int
    episode: Episode
    row: int = 0
    frame: int = 0
    newest: dict[str, np.ndarray] = field(default_factory=dict)
    pictures: dict[str, list[np.ndarray]] = field(default_factory=dict)
    image_ticks: list[int] = field(default_factory=list)


class _Rendering:
    """Plays episodes, one in each world until none is left, and renders their frames."""

    def __init__(
        self,
        work: RenderWork,
        dataset: Dataset,
        writer: EpisodeWriter,
        worlds: Worlds,
        truth: GroundTruth,
        report: Report,
    ) -> None:
        self._wanted = work.wanted
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
        """Begins the next episodes in worlds that have none."""
        for world in range(self._worlds.num_worlds):
            if world in self._playing or not waiting:
                continue
            number = waiting.popleft()
            episode = self._dataset.episode(number, images=False)
            require_playable(self._worlds, episode)
            looks = self._wanted.looks.of(self._worlds.spec.table, episode.meta.seed)
            self._worlds.begin_recorded(world, start_of(episode), looks)
            if looks:
                episode = self._with_looks(episode, world)
            self._playing[world] = _Playing(number, episode)

    def _with_looks(self, episode: Episode, world: int) -> Episode:
        """Returns an episode that says how its world was made to look."""
        start = self._worlds.episode_start(world)
        meta = replace(episode.meta, variation=start.variation)
        return replace(episode, meta=meta, start_fields=start.fields)

    def _take_frames(self) -> None:
        """Renders the frames that are due in each world."""
        due = []
        for world, playing in self._playing.items():
            ticks = playing.episode.frame_tick
            is_left = playing.frame < len(ticks)
            if is_left and ticks[playing.frame] == self._tick(playing):
                due.append(world)
                self._check_state(world, playing)

        observation = self._worlds.observe(privileged=False)
        taken = observation.pixels_tick
        assert taken is not None
        # A slow camera's picture may be older than its frame. Depth and segmentation
        # are rendered when the picture is taken, so that they show the same moment.
        for world, playing in self._playing.items():
            if taken[world] == self._tick(playing):
                playing.newest = self._ground_truth(world)
        for world in due:
            colours = {
                camera + IMAGE_SUFFIX: frames[world].copy()
                for camera, frames in observation.pixels.items()
            }
            self._keep(self._playing[world], colours, int(taken[world]))

    def _tick(self, playing: _Playing) -> int:
        """Returns the time of an episode, in ticks."""
        return playing.row * self._worlds.ticks_per_step

    def _keep(
        self, playing: _Playing, colours: dict[str, np.ndarray], taken: int
    ) -> None:
        """Keeps the pictures of a frame, which were taken at a tick."""
        for key, picture in {**colours, **playing.newest}.items():
            playing.pictures.setdefault(key, []).append(picture)
        playing.image_ticks.append(taken)
        playing.frame += 1

    def _check_state(self, world: int, playing: _Playing) -> None:
        """Compares the state of a world with that of the frame that is due.

        Where they differ, the recorded one is put in its place, or an error raised, as
        `set_states` says.
        """
        recorded = playing.episode.states[playing.frame]
        state = self._worlds.physics_state()[world]
        if np.array_equal(state, recorded):
            return
        if not self._wanted.set_states:
            raise self._differs(playing)
        self._worlds.put_physics_state(world, recorded)

    def _ground_truth(self, world: int) -> dict[str, np.ndarray]:
        """Returns the depth and segmentation that the cameras see now, by key."""
        found = {}
        for camera in self._worlds.cameras:
            if self._wanted.depth:
                depth = self._truth.depth_m(world, camera)
                is_metric = self._wanted.depth == "m"
                found[camera + DEPTH_SUFFIX] = depth if is_metric else as_mm(depth)
            if self._wanted.segmentation:
                things = self._truth.segmentation(world, camera)
                found[camera + SEGMENTATION_SUFFIX] = things
        return found

    def _step(self) -> None:
        """Moves all worlds on by one control step; episodes that are over are written."""
        worlds = self._worlds
        labels = worlds.interface.labels
        # worlds without an episode rest, whatever their action is
        actions = np.zeros((worlds.num_worlds, len(labels)), np.float32)
        for world, playing in self._playing.items():
            actions[world] = playing.episode.streams["action"].value[playing.row]
        worlds.step(actions)

        checksums = worlds.checksum()
        for world, playing in list(self._playing.items()):
            recorded = playing.episode.streams["checksum"].value[playing.row]
            playing.row += 1
            if checksums[world] != recorded and not self._wanted.set_states:
                raise self._differs(playing)
            if playing.row == len(playing.episode.streams["action"].value):
                self._end(world)

    def _end(self, world: int) -> None:
        """Writes the episode of a world, which rests from then on."""
        playing = self._playing.pop(world)
        self._worlds.rest(np.array([world]))
        episode = playing.episode
        if playing.frame != len(episode.frame_tick):
            raise DatasetError(
                f"episode {playing.number} of {self._dataset.path} is damaged: its "
                "frames are no whole control steps apart"
            )

        # The keys get the order of a recording (proprioception, colours, the rest), so
        # that the file is the same; a key that is set again keeps its place.
        pictures = {key: np.stack(rows) for key, rows in playing.pictures.items()}
        obs = {"agent_pos": episode.obs["agent_pos"]}
        obs |= {k: v for k, v in pictures.items() if k.endswith(IMAGE_SUFFIX)}
        obs |= {**episode.obs, **pictures}
        rendered = replace(episode, obs=obs, image_tick=np.array(playing.image_ticks))

        stored = self._dataset.group(playing.number)
        self._writer.write(rendered, lambda demo: copy_rest(stored, demo))
        self._report(episode.meta.seed)

    def _differs(self, playing: _Playing) -> DatasetError:
        """Returns the error for an episode whose states are not the recorded ones."""
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
    """Returns depth in mm as uint16; `FAR_MM` and more is `FAR_MM`."""
    return np.minimum(np.rint(depth_m * 1000.0), FAR_MM).astype(np.uint16)


def copy_rest(source: H5, target: H5) -> None:
    """Copies what a demo has beyond the schema: attributes and arrays of other tools.

    Links that lead elsewhere are left out, and so are the pictures it had.
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
            copy_rest(source[name], target[name])
