"""Measures the size of an hour of recordings in several forms, for docs/datasets.md.

    python -m embodied.pages.storage_sizes totes.hdf5

prints a table: states without pictures, states with stored pictures, and states with
videos. Videos are encoded with a key frame every 2 pictures, as the LeRobot export does
for fast random access, and with one every 30 pictures.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from embodied.datasets.export.video_files import CODEC, OPTIONS
from embodied.datasets.info import dataset_info
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import IMAGE_SUFFIX, is_picture_key
from embodied.pages.markdown import table

PEAK = 255.0  # largest value of a pixel, for the peak signal-to-noise ratio (PSNR)
# form -> (FFmpeg's encoder, its options); "g" is the distance of key frames
VIDEOS: dict[str, tuple[str, dict[str, str]]] = {
    "H.264, crf 18, every 2nd a key frame": (CODEC, OPTIONS),
    "H.264, crf 18, every 30th a key frame": (CODEC, {**OPTIONS, "g": "30"}),
    "AV1, crf 30, every 2nd a key frame": (
        "libsvtav1",
        {"crf": "30", "g": "2", "preset": "10"},
    ),
    "AV1, crf 30, every 30th a key frame": (
        "libsvtav1",
        {"crf": "30", "g": "30", "preset": "10"},
    ),
}


@dataclass(frozen=True)
class Measured:
    """Size, fidelity and speed of a dataset's pictures in one form.

    Attributes:
        size_bytes: the size in bytes of all pictures.
        psnr_db: peak signal-to-noise ratio to the rendered pictures; infinite if equal.
        read_s: time to read all pictures in order.
    """

    size_bytes: int
    psnr_db: float
    read_s: float


def storage_table(path: Path) -> str:
    """Returns a table of the sizes of a dataset in several forms, in Markdown.

    The forms differ in how pictures are stored; everything else stays HDF5.
    """
    info = dataset_info(path)
    keys = [array.key for array in info.arrays]
    pictures = [key for key in keys if key.endswith(IMAGE_SUFFIX)]
    picture_arrays = [array for array in info.arrays if is_picture_key(array.key)]
    pictures_bytes = sum(array.size_bytes for array in picture_arrays)
    states_bytes = info.size_bytes - pictures_bytes

    # form -> size, fidelity and reading time of the pictures
    forms = {"HDF5, each picture by gzip": _as_stored(path, pictures, pictures_bytes)}
    for name, (encoder, options) in VIDEOS.items():
        forms[name] = _as_video(path, pictures, info.record_hz, encoder, options)

    count = info.frames * len(pictures)
    states_per_hour = _per_hour(states_bytes, info.hours)
    rows = [("states only, without pictures", states_per_hour, "", "", "")]
    for name, storage in forms.items():
        psnr = "exact" if np.isinf(storage.psnr_db) else f"{storage.psnr_db:.0f} dB"
        rows.append(
            (
                name,
                _per_hour(states_bytes + storage.size_bytes, info.hours),
                f"{storage.size_bytes / count / 1000:.2f} kB",
                psnr,
                f"{count / storage.read_s:.0f}",
            )
        )
    heading = ("form", "per robot-hour", "a picture", "fidelity", "pictures read per s")
    return table(heading, rows)


def _per_hour(size_bytes: int, hours: float) -> str:
    return f"{size_bytes / hours / 1e6:.0f} MB"


def _as_stored(path: Path, keys: Sequence[str], size_bytes: int) -> Measured:
    """Returns the figures of the dataset as it is, with pictures stored without loss.

    Args:
        path: the path of the dataset.
        keys: the keys of the pictures.
        size_bytes: the size of all pictures in the file.
    """
    begun_s = time.perf_counter()
    for _ in _pictures(path, keys):
        pass
    return Measured(size_bytes, np.inf, time.perf_counter() - begun_s)


def _as_video(
    path: Path, keys: Sequence[str], hz: int, encoder: str, options: dict[str, str]
) -> Measured:
    """Returns the figures of the pictures as videos, one per camera and episode.

    Args:
        path: the path of the dataset.
        keys: the keys of the pictures.
        hz: frames per second.
        encoder: the name of FFmpeg's encoder.
        options: the options of the encoder.
    """
    # sums over the videos of all cameras and episodes
    size_bytes = 0
    squared_error = 0.0
    num_values = 0  # values of pixels, three per pixel
    read_s = 0.0
    for pictures in _pictures(path, keys):
        video = _encoded(pictures, hz, encoder, options)
        size_bytes += len(video)

        begun_s = time.perf_counter()
        decoded = _decoded(video)
        read_s += time.perf_counter() - begun_s
        difference = decoded.astype(np.float32) - pictures
        squared_error += float((difference**2).sum())
        num_values += difference.size
    # PSNR: the squared peak over the mean squared error, in decibels
    psnr_db = float(10 * np.log10(PEAK**2 * num_values / squared_error))
    return Measured(size_bytes, psnr_db, read_s)


def _pictures(path: Path, keys: Sequence[str]) -> Iterator[np.ndarray]:
    """Yields the pictures (F, H, W, 3) of each episode and camera."""
    with Dataset(path) as dataset:
        for number in range(len(dataset)):
            for key in keys:
                yield dataset.read(number, key)


def _encoded(
    pictures: np.ndarray, hz: int, encoder: str, options: dict[str, str]
) -> bytes:
    """Returns the MP4 file of a video of pictures (F, H, W, 3), as bytes."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream: Any = container.add_stream(encoder, rate=hz, options=options)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = "yuv420p"

        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())  # flush the encoder
    return target.getvalue()


def _decoded(video: bytes) -> np.ndarray:
    source = io.BytesIO(video)
    with av.open(source, "r") as container:
        frames = container.decode(video=0)
        return np.stack([frame.to_ndarray(format="rgb24") for frame in frames])


if __name__ == "__main__":
    os.environ.setdefault("SVT_LOG", "1")  # the encoder's own lines: errors only
    print(storage_table(Path(sys.argv[1])))  # noqa: T201
