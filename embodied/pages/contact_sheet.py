"""Writes the gallery's files: a contact sheet, an animated loop, and video clips."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from embodied.files import replace_bytes
from embodied.pages.gallery import FILM_FPS, Take
from embodied.rollout.captions import (
    BACKGROUND_RGB,
    CAPTION_RGB,
    FAINT_TEXT_RGB,
    TEXT_RGB,
    shorten,
    two_lines,
)
from embodied.rollout.video import write_mp4

SHEET_LIMIT_BYTES = 1_400_000  # a larger sheet is reduced to 256 colours
LOOP_FRAMES = 72
LOOP_FPS = 10
LOOP_HOLD_S = 1.5  # how long the loop holds its last picture
LOOP_QUALITY = 60  # of WebP, from 0 to 100
CLIP_SIZE = (360, 480)  # (H, W)
CLIP_FPS = 2 * FILM_FPS  # clips play at twice real time
CLIP_CRF = 24  # constant rate factor of H.264; lower means better quality
CAPTION_HEIGHT_PX = 66
MARGIN_PX = 10  # at both edges of a caption, and between title and note


@dataclass(frozen=True)
class Caption:
    """The caption below a picture: a title, a note to its right, and a sentence."""

    title: str
    note: str
    sentence: str


@dataclass(frozen=True)
class Sheet:
    """Pictures with captions, in rows of `columns`."""

    columns: int
    picture_size: tuple[int, int]  # (H, W)
    gap_px: int = 8
    _fonts: tuple[Any, Any] = field(
        default_factory=lambda: (
            ImageFont.load_default(17),
            ImageFont.load_default(13),
        ),
        repr=False,
    )

    @property
    def tile_size(self) -> tuple[int, int]:  # (H, W), with caption
        height, width = self.picture_size
        return height + CAPTION_HEIGHT_PX, width

    def draw(
        self, frames: Sequence[np.ndarray], captions: Sequence[Caption]
    ) -> Image.Image:
        """Returns the sheet of frames of any size, with one caption each."""
        columns = min(self.columns, len(frames))
        rows = -(-len(frames) // self.columns)  # rounded up
        height, width = self.tile_size
        gap = self.gap_px

        # gaps are between tiles and around them
        size = (columns * (width + gap) + gap, rows * (height + gap) + gap)
        canvas = Image.new("RGB", size, BACKGROUND_RGB)
        for k, (frame, caption) in enumerate(zip(frames, captions, strict=True)):
            row, column = divmod(k, self.columns)
            corner = (gap + column * (width + gap), gap + row * (height + gap))
            canvas.paste(self._draw_tile(frame, caption), corner)
        return canvas

    def _draw_tile(self, frame: np.ndarray, caption: Caption) -> Image.Image:
        """Returns a picture with its caption below."""
        height, width = self.tile_size
        tile = Image.new("RGB", (width, height), CAPTION_RGB)
        tile.paste(_resized(frame, self.picture_size), (0, 0))

        # the title is shortened to leave room for the note on its right
        large, small = self._fonts
        line_px = width - 2 * MARGIN_PX
        title_px = line_px - MARGIN_PX - small.getlength(caption.note)
        title = shorten(caption.title, large, title_px)
        sentence = "\n".join(two_lines(caption.sentence, small, line_px))

        # the small numbers are distances in pixels between lines of text; "ra" aligns the
        # note's right end and its top with the given point
        draw = ImageDraw.Draw(tile)
        left = MARGIN_PX
        right = width - MARGIN_PX
        top = self.picture_size[0] + 6
        draw.text((left, top), title, TEXT_RGB, large)
        draw.text((right, top + 3), caption.note, FAINT_TEXT_RGB, small, anchor="ra")
        draw.multiline_text(
            (left, top + 23), sentence, FAINT_TEXT_RGB, small, spacing=3
        )
        return tile


def write_gallery(folder: Path, takes: Sequence[Take]) -> list[Path]:
    """Writes the sheet, the loop and the clips; returns their paths."""
    sheet_path = folder / "gallery.png"
    loop_path = folder / "gallery.webp"
    clips_folder = folder / "clips"
    clips_folder.mkdir(parents=True, exist_ok=True)

    write_png(sheet_path, contact_sheet(takes), SHEET_LIMIT_BYTES)
    _write_loop(loop_path, loop_frames(takes))

    # one clip for each film
    paths = [sheet_path, loop_path]
    for take in takes:
        path = clips_folder / f"{take.plan.name}.mp4"
        write_mp4(path, _clip_frames(take), CLIP_FPS, CLIP_CRF)
        paths.append(path)
    return paths


def contact_sheet(takes: Sequence[Take]) -> Image.Image:
    """Returns a sheet with the moment of every take."""
    sheet = Sheet(columns=4, picture_size=(315, 420))
    frames = [take.clip.frame(take.moment) for take in takes]
    return sheet.draw(frames, [_caption(take) for take in takes])


def loop_frames(takes: Sequence[Take]) -> Iterator[Image.Image]:
    """Yields the sheets of the loop, which show one take per task.

    All takes are stretched to the same duration.
    """
    shown = one_per_task(takes)
    sheet = Sheet(columns=3, picture_size=(210, 280), gap_px=6)
    captions = [_caption(take) for take in shown]
    for k in range(LOOP_FRAMES):
        share = k / (LOOP_FRAMES - 1)
        yield sheet.draw([take.frame_at(share) for take in shown], captions)


def one_per_task(takes: Sequence[Take]) -> list[Take]:
    """Returns one take per task, so that different tasks show different robots.

    The first task shows its first take, the second task its second take, and so on. If a
    task has too few takes, counting starts again at its first take.
    """
    takes_by_task: dict[str, list[Take]] = {}
    for take in takes:
        takes_by_task.setdefault(take.plan.task, []).append(take)
    return [
        takes_of_task[k % len(takes_of_task)]
        for k, takes_of_task in enumerate(takes_by_task.values())
    ]


def write_png(path: Path, image: Image.Image, limit_bytes: int) -> None:
    """Writes an image, reduced to 256 colours if it would exceed the limit."""
    content = _png(image)
    if len(content) > limit_bytes:
        reduced = image.quantize(
            256, Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG
        )
        content = _png(reduced)
    replace_bytes(path, content)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _write_loop(path: Path, frames: Iterator[Image.Image]) -> None:
    """Writes an animated WebP that repeats for ever; GitHub plays it in a page."""
    first, *others = frames

    # the last picture is held for a while, so that the result can be seen
    durations_ms = [round(1000 / LOOP_FPS)] * len(others)
    durations_ms.append(round(1000 * LOOP_HOLD_S))
    buffer = io.BytesIO()
    first.save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=durations_ms,
        loop=0,  # for ever
        quality=LOOP_QUALITY,
        method=4,  # effort of the compression, from 0 to 6
    )
    replace_bytes(path, buffer.getvalue())


def _clip_frames(take: Take) -> Iterator[np.ndarray]:
    """Yields all frames of a take, at the size of clips."""
    for k in range(len(take.clip.frames)):
        yield np.asarray(_resized(take.clip.frame(k), CLIP_SIZE))


def _caption(take: Take) -> Caption:
    return Caption(take.plan.task, take.plan.robot, take.clip.result.instruction)


def _resized(frame: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Returns a frame (h, w, 3) at another size (H, W)."""
    height, width = size
    return Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS)
