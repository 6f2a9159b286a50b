"""Film of chosen episodes: a hook that renders them as they run, grids of them side by
side, and MP4 files.

A frame is (H, W, 3) uint8 RGB. Frames are kept as JPEG (some 15 KB at 240x320), so that
memory stays small.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.reformatter import Colorspace
from PIL import Image, ImageDraw, ImageFont

from embodied.core import PHYSICS_HZ, Observation
from embodied.errors import EmbodiedError

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds
    from embodied.rollout.rollout import EpisodeResult, Step

JPEG_QUALITY = 92
HOLD_S = 1.5  # how long a grid shows its last picture before it starts again
# px, a tile's caption; above the picture, for players cover what is at the bottom
BAR = 62
# px: the space around tiles, the outline that tells the outcome
GAP = 6
OUTLINE = 4
BACKGROUND = (13, 17, 23)
BAR_COLOUR = (27, 33, 42)
TEXT = (240, 243, 246)
FAINT = (157, 167, 179)
# told apart by colour-blind people too
SUCCESS = (0, 158, 115)
FAILURE = (213, 94, 0)


@dataclass(frozen=True)
class Shot:
    """How an episode is filmed."""

    camera: str
    label: str  # who acts, as people call it
    size: tuple[int, int] = (240, 320)  # (H, W)
    fps: int = 20  # of simulated time


@dataclass(frozen=True)
class Clip:
    """One filmed episode. Frame k is what the world showed k / fps seconds after its
    reset.
    """

    shot: Shot
    result: EpisodeResult
    frames: tuple[bytes, ...]  # JPEG

    def frame(self, k: int) -> np.ndarray:  # (H, W, 3)
        """Frame k; the last one for ever after it."""
        return np.asarray(
            Image.open(io.BytesIO(self.frames[min(k, len(self.frames) - 1)])).convert(
                "RGB"
            )
        )

    def outcome(self, k: int) -> bool | None:
        """Whether the episode has succeeded by frame k; None while that is open."""
        if k >= len(self.frames) - 1:
            return self.result.success_at_end
        reached_s = self.result.time_to_success_s
        return (
            True if reached_s is not None and k / self.shot.fps >= reached_s else None
        )

    def status(self, k: int) -> str:
        """The outcome by frame k and its time, or the time alone while that is open."""
        now_s = min(k, len(self.frames) - 1) / self.shot.fps
        outcome = self.outcome(k)
        if outcome is None:
            return f"{now_s:.1f} s"
        if outcome:
            return f"success at {self.result.time_to_success_s or now_s:.1f} s"
        return f"{self.result.fault or 'failed'} at {now_s:.1f} s"


@dataclass(frozen=True)
class Video:
    """An MP4 in memory, and its last picture to stand for it until it plays."""

    mp4: bytes
    poster: bytes  # JPEG
    width: int
    height: int
    duration_s: float


class Film:
    """A rollout hook that films the episodes whose index is in `episodes`; `clips`
    holds those that are over.
    """

    def __init__(self, shot: Shot, episodes: Collection[int]) -> None:
        self._shot = shot
        self._episodes = frozenset(episodes)
        # world -> frames of the episode it is in
        self._frames: dict[int, list[bytes]] = {}
        self._clips: list[Clip] = []

    @property
    def clips(self) -> list[Clip]:
        """Finished clips, in the order of their episodes."""
        return sorted(self._clips, key=lambda clip: clip.result.index)

    def on_start(
        self,
        worlds: Worlds,
        ids: np.ndarray,
        indices: np.ndarray,
        observation: Observation,
    ) -> None:
        for world, index in zip(ids.tolist(), indices.tolist(), strict=True):
            if index in self._episodes:
                self._frames[world] = [self._shoot(worlds, world)]

    def on_step(self, worlds: Worlds, step: Step) -> None:
        for world, frames in self._frames.items():
            tick = int(step.before.tick[world]) + worlds.ticks_per_step
            missing = tick * self._shot.fps // PHYSICS_HZ + 1 - len(frames)
            if missing > 0 and step.active[world]:
                # A world with a fault has no state worth a picture: its last good one
                # is held.
                frame = (
                    frames[-1]
                    if step.result.fault[world]
                    else self._shoot(worlds, world)
                )
                frames.extend([frame] * missing)

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        frames = self._frames.pop(world, None)
        if frames is not None:
            self._clips.append(Clip(self._shot, result, tuple(frames)))

    def _shoot(self, worlds: Worlds, world: int) -> bytes:
        return encode_jpeg(worlds.render(world, self._shot.camera, self._shot.size))


def encode_jpeg(frame: np.ndarray) -> bytes:
    """A frame (H, W, 3) as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def write_mp4(
    target: Path | io.BytesIO, frames: Iterable[np.ndarray], fps: int, crf: int = 28
) -> int:
    """Encodes frames as they come (H.264, yuv420p, constant rate) and returns how many
    there were.

    An odd height or width gets its last row or column doubled, since H.264 needs even
    ones. A file is written under a temporary name and renamed when it is whole.

    Raises:
        EmbodiedError: there are no frames, or one is not uint8 of the first one's shape
            (H, W, 3).
    """
    if isinstance(target, io.BytesIO):
        return _encode(target, frames, fps, crf)
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        count = _encode(temporary, frames, fps, crf)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _encode(
    target: Path | io.BytesIO, frames: Iterable[np.ndarray], fps: int, crf: int
) -> int:
    count = 0
    shape = None
    with av.open(
        target if isinstance(target, io.BytesIO) else str(target), "w", format="mp4"
    ) as container:
        stream = container.add_stream(
            "libx264", rate=fps, options={"crf": str(crf), "preset": "veryfast"}
        )
        for frame in frames:
            if (
                frame.dtype != np.uint8
                or frame.ndim != 3
                or frame.shape != (shape or (*frame.shape[:2], 3))
            ):
                raise EmbodiedError(
                    f"frame {count} is {frame.dtype} {frame.shape}, expected uint8 {shape or '(H, W, 3)'}"
                )
            if shape is None:
                shape = frame.shape
                _set_up(stream, shape)
            container.mux(stream.encode(_picture(frame, count)))
            count += 1
        if not count:
            raise EmbodiedError("a video needs at least one frame, got none")
        container.mux(stream.encode())
    return count


def _set_up(stream: Any, shape: tuple[int, ...]) -> None:
    stream.height = shape[0] + shape[0] % 2
    stream.width = shape[1] + shape[1] % 2
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    # BT.709: untagged, players disagree on hues
    context.colorspace = context.color_primaries = context.color_trc = 1


def _picture(frame: np.ndarray, index: int) -> av.VideoFrame:
    height, width, _ = frame.shape
    even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    picture = av.VideoFrame.from_ndarray(even, format="rgb24")
    picture = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
    picture.pts = index
    return picture


def grid_video(clips: Sequence[Clip], columns: int = 2) -> Video:
    """All clips at once, from the same moment, each with its caption, `columns` beside
    each other.

    Raises:
        EmbodiedError: there are no clips, or they differ in size or rate.
    """
    grid = Grid(tuple(clips), columns)
    buffer = io.BytesIO()
    count = write_mp4(buffer, grid.frames(), grid.fps)
    height, width = grid.shape
    return Video(
        buffer.getvalue(),
        encode_jpeg(grid.frame(count)),
        width,
        height,
        count / grid.fps,
    )


@dataclass(frozen=True)
class Grid:
    """Clips in rows of `columns` tiles."""

    clips: tuple[Clip, ...]
    columns: int
    _fonts: tuple[Any, Any] = field(
        default_factory=lambda: (
            ImageFont.load_default(15),
            ImageFont.load_default(12),
        ),
        repr=False,
    )

    def __post_init__(self) -> None:
        kinds = {(clip.shot.size, clip.shot.fps) for clip in self.clips}
        if len(kinds) != 1 or self.columns < 1:
            raise EmbodiedError(
                f"a grid needs a column and clips of one size and rate, got {self.columns} columns of {sorted(kinds)}"
            )

    @property
    def fps(self) -> int:
        return self.clips[0].shot.fps

    @property
    def tile(self) -> tuple[int, int]:  # (H, W), with caption
        height, width = self.clips[0].shot.size
        return height + BAR, width

    @property
    def shape(self) -> tuple[int, int]:  # (H, W), even
        columns = min(self.columns, len(self.clips))
        rows = -(-len(self.clips) // self.columns)
        height = rows * (self.tile[0] + GAP) + GAP
        width = columns * (self.tile[1] + GAP) + GAP
        return height + height % 2, width + width % 2

    def frames(self) -> Iterator[np.ndarray]:
        """Every picture until the longest clip is over, then the last one for a while."""
        longest = max(len(clip.frames) for clip in self.clips)
        for k in range(longest):
            yield self.frame(k)
        last = self.frame(longest)
        for _ in range(round(HOLD_S * self.fps)):
            yield last

    def frame(self, k: int) -> np.ndarray:  # (H, W, 3)
        """The picture at frame k of every clip."""
        height, width = self.shape
        canvas = Image.new("RGB", (width, height), BACKGROUND)
        for i, clip in enumerate(self.clips):
            row, column = divmod(i, self.columns)
            left = GAP + column * (self.tile[1] + GAP)
            top = GAP + row * (self.tile[0] + GAP)
            canvas.paste(self._tile(clip, k), (left, top))
        return np.asarray(canvas)

    def _tile(self, clip: Clip, k: int) -> Image.Image:
        height, width = self.tile
        tile = Image.new("RGB", (width, height), BAR_COLOUR)
        tile.paste(Image.fromarray(clip.frame(k)), (0, BAR))
        draw = ImageDraw.Draw(tile)
        outcome = clip.outcome(k)
        if outcome is not None:
            draw.rectangle(
                (0, 0, width - 1, height - 1),
                outline=SUCCESS if outcome else FAILURE,
                width=OUTLINE,
            )
        title, small = self._fonts
        right = clip.status(k)
        room = width - 20 - title.getlength(right) - 10
        draw.text((10, 7), shorten(clip.shot.label, title, room), TEXT, title)
        draw.text((width - 10, 7), right, TEXT, title, anchor="ra")
        instruction = "\n".join(two_lines(clip.result.instruction, small, width - 20))
        draw.multiline_text((10, 27), instruction, FAINT, small, spacing=3)
        return tile


def two_lines(text: str, font: Any, room_px: float) -> tuple[str, str]:
    """The text broken between words where the first line is full; the second is
    shortened where it must be.
    """
    words = text.split()
    fits = [
        k
        for k in range(1, len(words) + 1)
        if font.getlength(" ".join(words[:k])) <= room_px
    ]
    first = fits[-1] if fits else 1
    return shorten(" ".join(words[:first]), font, room_px), shorten(
        " ".join(words[first:]), font, room_px
    )


def shorten(text: str, font: Any, room_px: float) -> str:
    """The text, or as much of it as fits with an ellipsis after it."""
    if font.getlength(text) <= room_px:
        return text
    while text and font.getlength(text + "…") > room_px:
        text = text[:-1]
    return text.rstrip() + "…"
