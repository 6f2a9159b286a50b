"""Captions in videos: their colours, and text fitted to a width."""

from __future__ import annotations

from typing import Any

BACKGROUND_RGB = (13, 17, 23)
CAPTION_RGB = (27, 33, 42)  # behind the text
TEXT_RGB = (240, 243, 246)
FAINT_TEXT_RGB = (157, 167, 179)


def two_lines(text: str, font: Any, room_px: float) -> tuple[str, str]:
    """Returns a text as two lines, broken between words.

    A line that is still too long is shortened with an ellipsis.

    Args:
        text: the words to show.
        font: the Pillow font that they are drawn in.
        room_px: the width of a line in pixels.
    """
    # as many words as fit into the first line, but at least one
    words = text.split()
    num_first = 1
    for k in range(1, len(words) + 1):
        if font.getlength(" ".join(words[:k])) <= room_px:
            num_first = k

    first = " ".join(words[:num_first])
    second = " ".join(words[num_first:])
    return shorten(first, font, room_px), shorten(second, font, room_px)


def shorten(text: str, font: Any, room_px: float) -> str:
    """Returns the text; if it is too wide, its start with an ellipsis."""
    if font.getlength(text) <= room_px:
        return text

    while text and font.getlength(f"{text}…") > room_px:
        text = text[:-1]
    return f"{text.rstrip()}…"
