"""Frames as JPEG and MP4 files. A frame is (H, W, 3) uint8 RGB."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace
from PIL import Image

from embodied.errors import EmbodiedError
from embodied.files import replace_bytes

JPEG_QUALITY = 92
# H.264's number for BT.709, the colours of HD video: space, primaries and transfer.
BT709 = 1
# Options of libx264 with which the same images always give the same file. Its
# macroblock-tree rate control does not: of 3,113 encodings of a few videos on a machine
# with AVX-512, 26 differed, with one thread too; without it none of 3,170 did.
REPEATABLE = {"mbtree": "0"}


@dataclass(frozen=True)
class Video:
    """An MP4 in memory, with a still picture that is shown until it plays."""

    mp4: bytes
    poster: bytes  # JPEG
    width: int
    height: int
    duration_s: float


def encode_jpeg(frame: np.ndarray) -> bytes:
    """Returns a frame as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def decode_jpeg(jpeg: bytes) -> np.ndarray:  # (H, W, 3)
    """Returns the frame in a JPEG file."""
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def write_mp4(
    target: Path | io.BytesIO, frames: Iterable[np.ndarray], fps: int, crf: int = 28
) -> int:
    """Encodes a stream of frames (H.264, yuv420p, constant rate).

    H.264 needs an even height and width, so the last row or column of odd ones is
    repeated. The video is made in memory, so the file is never incomplete.

    Args:
        target: the file, or a buffer.
        frames: the frames, all of the same shape (H, W, 3), uint8.
        fps: frames per second of playing time.
        crf: constant rate factor; lower means better quality and a larger file.

    Returns:
        The number of frames.

    Raises:
        EmbodiedError: there are no frames; a frame is not uint8, or differs in shape from
            the first; or the file cannot be written.
    """
    if isinstance(target, io.BytesIO):
        return _encode(target, frames, fps, crf)

    buffer = io.BytesIO()
    count = _encode(buffer, frames, fps, crf)
    replace_bytes(target, buffer.getvalue())
    return count


def _encode(
    target: io.BytesIO, frames: Iterable[np.ndarray], fps: int, crf: int
) -> int:
    """Writes the MP4 to a buffer; returns the number of frames."""
    count = 0
    shape: tuple[int, ...] | None = None  # shape of the first frame, once it is known
    options = {"crf": str(crf), "preset": "veryfast", **REPEATABLE}

    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        for frame in frames:
            _check_frame(frame, count, shape)
            if shape is None:
                shape = frame.shape
                _configure_stream(stream, *frame.shape[:2])
            container.mux(stream.encode(_video_frame(frame, count)))
            count += 1

        if not count:
            raise EmbodiedError("a video needs at least one frame, got none")
        container.mux(stream.encode())  # flush the encoder
    return count


def _check_frame(frame: np.ndarray, index: int, shape: tuple[int, ...] | None) -> None:
    """Raises EmbodiedError unless a frame is a uint8 RGB image of the expected shape.

    Args:
        frame: the frame to check.
        index: number of the frame, for the error message.
        shape: the expected shape; None for any (H, W, 3).
    """
    is_image = frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3
    if not is_image or frame.shape != (shape or frame.shape):
        raise EmbodiedError(
            f"frame {index} is {frame.dtype} {frame.shape}, "
            f"expected uint8 {shape or '(H, W, 3)'}"
        )


def _configure_stream(stream: Any, height: int, width: int) -> None:
    """Sets the size, the pixel format and the colour space of a video stream.

    Odd sizes are rounded up, because H.264 needs even ones.
    """
    stream.height = height + height % 2
    stream.width = width + width % 2
    stream.pix_fmt = "yuv420p"

    # players interpret the colours of an untagged video differently
    stream.codec_context.colorspace = BT709
    stream.codec_context.color_primaries = BT709
    stream.codec_context.color_trc = BT709


def _video_frame(frame: np.ndarray, index: int) -> av.VideoFrame:
    """Returns an image (H, W, 3) as a frame for the encoder.

    yuv420p stores one colour per 2 x 2 pixels, so height and width must be even.
    """
    height, width, _ = frame.shape
    even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    video_frame = av.VideoFrame.from_ndarray(even, format="rgb24")
    video_frame = video_frame.reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709
    )
    video_frame.pts = index  # time stamp, in frames
    return video_frame
