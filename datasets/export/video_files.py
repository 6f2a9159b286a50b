"""Pictures of one camera as MP4 files, each of many episodes.

H.264 in yuv420p, with a key frame in every second picture, so that any picture is found
fast. The rate is constant: picture k of a file is shown at k / hz seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace

from embodied.closing import ClosedOnExit
from embodied.datasets.export.numbered_files import FileNumber
from embodied.datasets.schema import DatasetError
from embodied.rollout.video import BT709

CODEC = "libx264"
PIXEL_FORMAT = "yuv420p"
# crf: the quality. g: pictures from one key frame to the next. bf 0: no picture is
# stored out of order, so times in the file are as they were given.
OPTIONS = {"crf": "18", "g": "2", "bf": "0", "preset": "veryfast"}
MAX_FILE_MB = 200


class VideoFile(ClosedOnExit):
    """One file, to which pictures are added.

    Attributes:
        path: of the file.
        pictures: how many there are so far.

    Raises:
        DatasetError: height or width is odd, which yuv420p cannot hold.
    """

    def __init__(self, path: Path, hz: int, size: tuple[int, int]) -> None:
        require_even(size)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.pictures = 0
        self._container: Any = av.open(str(path), "w", format="mp4")
        stream: Any = self._container.add_stream(CODEC, rate=hz, options=OPTIONS)
        stream.height, stream.width = size
        stream.pix_fmt = PIXEL_FORMAT
        self._stream = stream

        # Without a named colour space, readers guess it, and their hues differ.
        context = stream.codec_context
        context.colorspace = BT709
        context.color_primaries = BT709
        context.color_trc = BT709

    @property
    def written_bytes(self) -> int:
        """How many bytes are on the disk; none until the encoder gives its first packet."""
        return self.path.stat().st_size if self.path.exists() else 0

    def add(self, pictures: np.ndarray) -> None:
        """Adds pictures (F, H, W, 3)."""
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(
                format=PIXEL_FORMAT, dst_colorspace=Colorspace.ITU709
            )
            frame.pts = self.pictures
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
            self.pictures += 1

    def close(self) -> None:
        """Ends the file."""
        if self._container is None:
            return
        # the encoder still holds pictures back
        for packet in self._stream.encode():
            self._container.mux(packet)
        self._container.close()
        self._container = None


class VideoFiles(ClosedOnExit):
    """Writes the pictures of one camera, episode by episode.

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
        """Ends the open file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def begin_after(self, number: FileNumber) -> None:
        """Lets the next pictures go to the file after `number`."""
        self.close()
        self._number = number.next()

    def add(self, pictures: np.ndarray) -> tuple[FileNumber, float, float]:
        """Adds the pictures (F, H, W, 3) of an episode.

        Returns:
            The file that they are in, and the seconds at which they begin and end there.
        """
        file = self._file_for_more()
        start_s = file.pictures / self._hz
        file.add(pictures)
        return self._number, start_s, file.pictures / self._hz

    def _file_for_more(self) -> VideoFile:
        """Returns the open file, or a new one where that is full."""
        if self._file is not None and self._file.written_bytes >= MAX_FILE_MB * 2**20:
            self.begin_after(self._number)
        if self._file is None:
            path = self._folder / self._number.path("mp4")
            self._file = VideoFile(path, self._hz, self._size)
        return self._file


def require_even(size: tuple[int, int]) -> None:
    """Raises DatasetError for a height or width that yuv420p cannot hold."""
    height, width = size
    if height % 2 or width % 2:
        raise DatasetError(
            f"a video needs an even height and width, but the pictures are"
            f" {height} x {width}: export them with --images image"
        )


def video_info(hz: int, size: tuple[int, int]) -> dict[str, Any]:
    """Returns what LeRobot's `info.json` says of a camera's videos."""
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
