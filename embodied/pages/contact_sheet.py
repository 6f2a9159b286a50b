"""Draws the gallery's pictures: a contact sheet and an animated loop of its films."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from embodied.files import replace_bytes
from embodied.pages.stored_films import CLIP_SIZE, StoredFilm
from embodied.rollout.captions import (
    BACKGROUND_RGB,
    CAPTION_RGB,
    FAINT_TEXT_RGB,
    TEXT_RGB,
    shorten,
    two_lines,
)

SHEET_LIMIT_BYTES = 1_400_000  # a larger sheet is reduced to 256 colours
LOOP_FRAMES = 72
LOOP_FPS = 10
LOOP_HOLD_S = 1.5  # how long the loop holds its last picture
LOOP_QUALITY = 60  # of WebP, from 0 to 100
LOOP_COLUMNS = 3
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


def write_sheets(folder: Path, films: Sequence[StoredFilm]) -> list[Path]:
    """Writes the contact sheet and the loop of films; returns their paths."""
    sheet_path = folder / "gallery.png"
    loop_path = folder / "gallery.webp"
    write_png(sheet_path, contact_sheet(films), SHEET_LIMIT_BYTES)
    _write_loop(loop_path, loop_frames(films))
    return [sheet_path, loop_path]


def contact_sheet(films: Sequence[StoredFilm]) -> Image.Image:
    """Returns a sheet with the moment of every film."""
    sheet = Sheet(columns=4, picture_size=(315, 420))
    frames = [film.frames()[film.record.moment] for film in films]
    return sheet.draw(frames, [_caption(film) for film in films])


def loop_frames(films: Sequence[StoredFilm]) -> Iterator[Image.Image]:
    """Yields the sheets of the loop, which show every task.

    All films are stretched to the same duration. A single film is shown larger.
    """
    if len(films) == 1:
        shown = list(films)
        sheet = Sheet(columns=1, picture_size=CLIP_SIZE, gap_px=6)
    else:
        shown = films_of_loop(films)
        sheet = Sheet(columns=LOOP_COLUMNS, picture_size=(210, 280), gap_px=6)

    # the frames of each film that are shown
    shares = np.linspace(0.0, 1.0, LOOP_FRAMES)
    shown_frames = []
    for film in shown:
        frames = film.frames()
        last = len(frames) - 1
        shown_frames.append([frames[round(share * last)] for share in shares])

    captions = [_caption(film) for film in shown]
    for pictures in zip(*shown_frames, strict=True):
        yield sheet.draw(pictures, captions)


def films_of_loop(films: Sequence[StoredFilm]) -> list[StoredFilm]:
    """Returns one film per task, and more to fill the last row.

    The first task shows its first film, the second task its second film, and so on, so
    that different tasks show different robots. If a task has too few films, counting
    starts again at its first film. The last row is filled with the next films of the
    first tasks.
    """
    films_by_task: dict[str, list[StoredFilm]] = {}
    for film in films:
        films_by_task.setdefault(film.record.task, []).append(film)
    shown = [
        films_of_task[k % len(films_of_task)]
        for k, films_of_task in enumerate(films_by_task.values())
    ]

    others = [film for film in films if film not in shown]
    num_missing = -len(shown) % LOOP_COLUMNS
    return shown + _of_different_tasks(others)[:num_missing]


def _of_different_tasks(films: Sequence[StoredFilm]) -> list[StoredFilm]:
    """Returns the last film of each task, which tends to be of another robot."""
    return list({film.record.task: film for film in films}.values())


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


def _caption(film: StoredFilm) -> Caption:
    record = film.record
    return Caption(record.task, record.robot, record.instruction)


def _resized(frame: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Returns a frame (h, w, 3) at another size (H, W)."""
    height, width = size
    return Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS)
