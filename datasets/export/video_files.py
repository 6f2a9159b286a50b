"""The images of one camera as MP4 files, each with many episodes.

They are encoded as H.264 in yuv420p. Every second image is a key frame, so that seeking
is fast. The frame rate is constant: image k of a file is shown at k / hz seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.video.reformatter import Colorspace

from embodied.closing import ClosedOnExit
from embodied.datasets.export.numbered_files import FileNumber
from embodied.datasets.schema import DatasetError
from embodied.rollout.video import BT709, REPEATABLE

CODEC = "libx264"
PIXEL_FORMAT = "yuv420p"
# Options of the encoder. crf: the quality, from 0 (best) to 51. g: images from one key
# frame to the next. bf: 0, because images that are stored out of order would shift the
# times in the file.
OPTIONS = {"crf": "18", "g": "2", "bf": "0", "preset": "veryfast", **REPEATABLE}
MAX_FILE_MB = 200


class VideoSection(NamedTuple):
    """The section of a video file that shows an episode."""

    file: FileNumber
    start_s: float  # the time in the file
    end_s: float


class VideoFile(ClosedOnExit):
    """One video file that is being written.

    Attributes:
        path: the path of the file.
        pictures: the number of images added so far.

    Args:
        path: the path of the file.
        hz: images per second.
        size: (height, width) of the images in pixels.

    Raises:
        DatasetError: height or width is odd, which yuv420p cannot hold.
    """

    def __init__(self, path: Path, hz: int, size: tuple[int, int]) -> None:
        """Opens the file and its H.264 stream."""
        require_even(size)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.pictures = 0
        self._container: Any = av.open(str(path), "w", format="mp4")
        stream: Any = self._container.add_stream(CODEC, rate=hz, options=OPTIONS)
        stream.height, stream.width = size
        stream.pix_fmt = PIXEL_FORMAT
        self._stream = stream

        # without a named colour space, players guess it, and show different hues
        context = stream.codec_context
        context.colorspace = BT709
        context.color_primaries = BT709
        context.color_trc = BT709

    @property
    def written_bytes(self) -> int:
        """Bytes on the disk; 0 until the encoder has given its first packet."""
        return self.path.stat().st_size if self.path.exists() else 0

    def add(self, pictures: np.ndarray) -> None:
        """Adds images (F, H, W, 3) uint8."""
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(
                format=PIXEL_FORMAT, dst_colorspace=Colorspace.ITU709
            )
            frame.pts = self.pictures  # the time stamp, in frame periods
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
            self.pictures += 1

    def close(self) -> None:
        """Completes and closes the file."""
        if self._container is None:
            return
        # flush the images that the encoder has buffered
        for packet in self._stream.encode():
            self._container.mux(packet)
        self._container.close()
        self._container = None


class VideoFiles(ClosedOnExit):
    """Writes the images of one camera, episode by episode, to numbered files.

    Args:
        folder: the folder of the files.
        hz: images per second.
        size: (height, width) of the images in pixels.

    Raises:
        DatasetError: height or width is odd, which yuv420p cannot hold.
    """

    def __init__(self, folder: Path, hz: int, size: tuple[int, int]) -> None:
        require_even(size)
        self._folder = folder
        self._hz = hz
        self._size = size
        self._number = FileNumber()
        self._file: VideoFile | None = None

    def close(self) -> None:
        """Completes and closes the open file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def begin_after(self, number: FileNumber) -> None:
        """Closes the open file; the next images go to the file after `number`."""
        self.close()
        self._number = number.next()

    def add(self, pictures: np.ndarray) -> VideoSection:
        """Adds the images (F, H, W, 3) uint8 of an episode; returns where they are."""
        file = self._file_with_room()
        start_s = file.pictures / self._hz
        file.add(pictures)
        end_s = file.pictures / self._hz
        return VideoSection(self._number, start_s, end_s)

    def _file_with_room(self) -> VideoFile:
        """Returns the open file, or a new one if there is none or it is full."""
        # LeRobot counts 2**20 bytes as one MB
        if self._file is not None and self._file.written_bytes >= MAX_FILE_MB * 2**20:
            self.begin_after(self._number)
        if self._file is None:
            path = self._folder / self._number.path("mp4")
            self._file = VideoFile(path, self._hz, self._size)
        return self._file


def require_even(size: tuple[int, int]) -> None:
    """Raises DatasetError for an odd height or width, which yuv420p cannot hold."""
    height, width = size
    if height % 2 or width % 2:
        raise DatasetError(
            f"a video needs an even height and width, but the pictures are"
            f" {height} x {width}: export them with --images image"
        )


def video_info(hz: int, size: tuple[int, int]) -> dict[str, Any]:
    """Returns the entry on a camera's videos in LeRobot's `info.json`."""
    height, width = size
    return {
        "video.height": height,
        "video.width": width,
        "video.codec": "h264",
        "video.pix_fmt": PIXEL_FORMAT,
        "video.is_depth_map": False,
        "video.fps": hz,
        "video.channels": 3,
        "has_audio": False,
    }
