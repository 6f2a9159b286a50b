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
# bf 0: no picture is stored out of order, so times in the file are as they were given.
OPTIONS = {"crf": "18", "g": "2", "bf": "0", "preset": "veryfast"}
MAX_FILE_MB = 200


class VideoFiles(ClosedOnExit):
    """Writes the pictures of one camera, episode by episode.

    Raises:
        DatasetError: height or width is odd, which yuv420p cannot hold.
    """

    def __init__(self, folder: Path, hz: int, size: tuple[int, int]) -> None:
        height, width = size
        if height % 2 or width % 2:
            raise DatasetError(
                f"a video needs an even height and width, but the pictures are"
                f" {height} x {width}: export them with --images image"
            )
        self._folder = folder
        self._hz = hz
        self._size = size
        self._number = FileNumber()
        self._container: Any = None
        self._stream: Any = None
        self._pictures = 0  # in the open file

    def close(self) -> None:
        """Ends the open file."""
        if self._container is None:
            return
        for packet in self._stream.encode():
            self._container.mux(packet)
        self._container.close()
        self._container = None

    def add(self, pictures: np.ndarray) -> tuple[FileNumber, float, float]:
        """Adds the pictures (F, H, W, 3) of an episode.

        Returns:
            The file that they are in, and the seconds at which they begin and end there.
        """
        self._begin_file_if_due()
        start_s = self._pictures / self._hz
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(
                format=PIXEL_FORMAT, dst_colorspace=Colorspace.ITU709
            )
            frame.pts = self._pictures
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
            self._pictures += 1
        return self._number, start_s, self._pictures / self._hz

    def _begin_file_if_due(self) -> None:
        if self._container is not None:
            # There is no file until the encoder gives its first packet.
            written = self._path.stat().st_size if self._path.exists() else 0
            if written < MAX_FILE_MB * 2**20:
                return
            self.close()
            self._number = self._number.next()

        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(self._path), "w", format="mp4")
        self._stream = self._container.add_stream(CODEC, rate=self._hz, options=OPTIONS)
        self._stream.height, self._stream.width = self._size
        self._stream.pix_fmt = PIXEL_FORMAT
        self._pictures = 0

        # Readers disagree on the hues of a video that does not say what they mean.
        context = self._stream.codec_context
        context.colorspace = BT709
        context.color_primaries = BT709
        context.color_trc = BT709

    @property
    def _path(self) -> Path:
        return self._folder / self._number.path("mp4")


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
