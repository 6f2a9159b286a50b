"""Words in pictures: their colours, and text that fits into its room."""

from __future__ import annotations

from typing import Any

BACKGROUND_RGB = (13, 17, 23)
CAPTION_RGB = (27, 33, 42)  # behind the text
TEXT_RGB = (240, 243, 246)
FAINT_TEXT_RGB = (157, 167, 179)


def two_lines(text: str, font: Any, room_px: float) -> tuple[str, str]:
    """Returns the text broken between words where the first line is full.

    Each line is shortened where even that is too long.

    Args:
        text: words.
        font: a font of Pillow's.
        room_px: width of a line.
    """
    # As many words as fit into the first line, at least one.
    words = text.split()
    num_first = 1
    for k in range(1, len(words) + 1):
        if font.getlength(" ".join(words[:k])) <= room_px:
            num_first = k

    first = " ".join(words[:num_first])
    second = " ".join(words[num_first:])
    return shorten(first, font, room_px), shorten(second, font, room_px)


def shorten(text: str, font: Any, room_px: float) -> str:
    """Returns the text, or as much of it as fits with an ellipsis after it."""
    if font.getlength(text) <= room_px:
        return text

    while text and font.getlength(f"{text}…") > room_px:
        text = text[:-1]
    return f"{text.rstrip()}…"
