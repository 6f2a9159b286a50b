"""Decoding the images of other tools' datasets, stored as files or in a video."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from PIL import Image, UnidentifiedImageError

from embodied.datasets.schema import DatasetError
from embodied.errors import one_line
from embodied.wording import counted


def from_bytes(
    rows: Sequence[Any], size: tuple[int, ...], where: str
) -> np.ndarray:  # (F, H, W, 3)
    """Returns images that are stored as PNG or JPEG files in a table.

    Args:
        rows: one entry per image, with the file's content under the key `bytes`. A key
            `path` is ignored, because paths in a dataset are never followed.
        size: the size (H, W) that the images must have.
        where: the name of the images, for error messages.

    Raises:
        DatasetError: an image is missing, damaged or of another size.
    """
    pictures = []
    for number, row in enumerate(rows):
        content = row.get("bytes") if isinstance(row, dict) else None
        if not isinstance(content, bytes):
            raise DatasetError(f"frame {number} of {where} holds no picture")
        try:
            with Image.open(io.BytesIO(content), formats=["PNG", "JPEG"]) as image:
                _require_size((image.height, image.width), size, where)
                pictures.append(np.asarray(image.convert("RGB")))
        except UnidentifiedImageError as error:
            raise DatasetError(
                f"frame {number} of {where} cannot be decoded: it is neither PNG nor JPEG"
            ) from error
        # Pillow raises SyntaxError for a damaged PNG
        except (OSError, SyntaxError, ValueError) as error:
            raise DatasetError(
                f"frame {number} of {where} cannot be decoded: {one_line(error)}"
            ) from error
    return np.stack(pictures)


def from_video(
    path: Path, start_s: float, count: int, hz: int, size: tuple[int, ...], where: str
) -> np.ndarray:  # (F, H, W, 3)
    """Returns the images of one episode from a video with many episodes.

    Args:
        path: the path of the MP4 file.
        start_s: the time in the video at which the episode begins.
        count: the episode's number of frames.
        hz: frames per second.
        size: the size (H, W) that the images must have.
        where: the name of the images, for error messages.

    Raises:
        DatasetError: the file is damaged, an image is missing, or the images have another
            size.
    """
    pictures: list[np.ndarray] = []
    try:
        # Only MP4 is accepted. Other formats, such as playlists, may name further files,
        # which FFmpeg would open.
        source = str(path)
        with av.open(source, format="mp4") as container:
            stream = container.streams.video[0]
            _require_size((stream.height, stream.width), size, where)
            container.seek(int(start_s * av.time_base), backward=True)
            for frame in container.decode(stream):
                # Skip images before the episode, because seeking stops at an earlier key
                # frame. Half a frame's period is left for rounded times.
                if frame.pts is None or frame.time < start_s - 0.5 / hz:
                    continue
                # stop where an image is missing, which is reported below
                expected_s = start_s + len(pictures) / hz
                if abs(frame.time - expected_s) > 0.5 / hz:
                    break
                pictures.append(frame.to_ndarray(format="rgb24"))
                if len(pictures) == count:
                    break
    except (FFmpegError, IndexError, OverflowError) as error:
        raise DatasetError(
            f"{where}: {path} cannot be decoded: {one_line(error)}"
        ) from error

    if len(pictures) < count:
        raise DatasetError(
            f"{where} has {counted(count, 'frame')}, but {path} shows {len(pictures)}"
        )
    return np.stack(pictures)


def _require_size(size: tuple[int, int], expected: tuple[int, ...], where: str) -> None:
    """Raises DatasetError if an image has another size (H, W) than expected."""
    if size != expected:
        raise DatasetError(
            f"{where} is {size[0]} x {size[1]} large, but said to be"
            f" {' x '.join(map(str, expected))}"
        )
