"""Composes clips into a grid, each with a caption and an outline for its outcome."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from embodied.errors import EmbodiedError
from embodied.rollout.captions import (
    BACKGROUND_RGB,
    CAPTION_RGB,
    FAINT_TEXT_RGB,
    TEXT_RGB,
    shorten,
    two_lines,
)
from embodied.rollout.film import Clip
from embodied.rollout.video import Video, encode_jpeg, write_mp4

HOLD_S = 1.5  # how long the video shows its last picture
MARGIN_PX = 10  # at both edges of a caption, and between its parts
# captions are above the picture, because the controls of players cover the bottom
CAPTION_HEIGHT_PX = 62
GAP_PX = 6  # around tiles
OUTLINE_PX = 4
# colours that colour-blind people can distinguish
SUCCESS_RGB = (0, 158, 115)
FAILURE_RGB = (213, 94, 0)


@dataclass(frozen=True)
class Grid:
    """Clips in rows of `columns` tiles.

    Raises:
        EmbodiedError: there are no clips or columns, or clips differ in size or rate.
    """

    clips: tuple[Clip, ...]
    columns: int
    # fonts of the title and of the instruction
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
                "a grid needs a column and clips of one size and rate, "
                f"got {self.columns} columns of {sorted(kinds)}"
            )

    @property
    def fps(self) -> int:
        return self.clips[0].shot.fps

    @property
    def tile_size(self) -> tuple[int, int]:  # (H, W), with caption
        height, width = self.clips[0].shot.size
        return height + CAPTION_HEIGHT_PX, width

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the grid's frames, rounded up to even numbers, which H.264 needs."""
        columns = min(self.columns, len(self.clips))
        rows = -(-len(self.clips) // self.columns)  # rounded up
        tile_height, tile_width = self.tile_size
        height = rows * (tile_height + GAP_PX) + GAP_PX
        width = columns * (tile_width + GAP_PX) + GAP_PX
        return height + height % 2, width + width % 2

    def frames(self) -> Iterator[np.ndarray]:
        """Yields frames until the longest clip ends, then the last one for HOLD_S."""
        longest = max(len(clip.frames) for clip in self.clips)
        for k in range(longest):
            yield self.frame(k)

        # a clip that has ended shows its last frame and its outcome
        last = self.frame(longest)
        for _ in range(round(HOLD_S * self.fps)):
            yield last

    def frame(self, k: int) -> np.ndarray:  # (H, W, 3)
        """Returns the picture of the whole grid, with frame `k` of every clip."""
        height, width = self.size
        tile_height, tile_width = self.tile_size
        canvas = Image.new("RGB", (width, height), BACKGROUND_RGB)
        for i, clip in enumerate(self.clips):
            row, column = divmod(i, self.columns)
            left = GAP_PX + column * (tile_width + GAP_PX)
            top = GAP_PX + row * (tile_height + GAP_PX)
            canvas.paste(self._draw_tile(clip, k), (left, top))
        return np.asarray(canvas)

    def _draw_tile(self, clip: Clip, k: int) -> Image.Image:
        """Returns frame `k` of a clip with its caption: policy, status and instruction."""
        height, width = self.tile_size
        tile = Image.new("RGB", (width, height), CAPTION_RGB)
        tile.paste(Image.fromarray(clip.frame(k)), (0, CAPTION_HEIGHT_PX))
        draw = ImageDraw.Draw(tile)

        # an outline in the colour of the outcome
        outcome = clip.outcome(k)
        if outcome is not None:
            colour = SUCCESS_RGB if outcome else FAILURE_RGB
            corners = (0, 0, width - 1, height - 1)
            draw.rectangle(corners, outline=colour, width=OUTLINE_PX)

        # the label of the policy on the left, the status on the right, and below them the
        # instruction in two lines
        title_font, small_font = self._fonts
        status = clip.status(k)
        line_px = width - 2 * MARGIN_PX
        label_px = line_px - title_font.getlength(status) - MARGIN_PX
        label = shorten(clip.shot.label, title_font, label_px)
        instruction = two_lines(clip.result.instruction, small_font, line_px)
        # y in pixels: 7 for the first line, 27 for the instruction
        draw.text((MARGIN_PX, 7), label, TEXT_RGB, title_font)
        # "ra" aligns the text's right end and its top with the given point
        draw.text((width - MARGIN_PX, 7), status, TEXT_RGB, title_font, anchor="ra")
        draw.multiline_text(
            (MARGIN_PX, 27),
            "\n".join(instruction),
            FAINT_TEXT_RGB,
            small_font,
            spacing=3,
        )
        return tile


def grid_video(clips: Sequence[Clip], columns: int = 2) -> Video:
    """Returns a video of all clips in a grid.

    Raises:
        EmbodiedError: there are no clips, or they differ in size or rate.
    """
    grid = Grid(tuple(clips), columns)
    buffer = io.BytesIO()
    count = write_mp4(buffer, grid.frames(), grid.fps)
    height, width = grid.size
    return Video(
        mp4=buffer.getvalue(),
        poster=encode_jpeg(grid.frame(count)),
        width=width,
        height=height,
        duration_s=count / grid.fps,
    )
