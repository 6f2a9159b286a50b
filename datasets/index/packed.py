"""Arrays by name as bytes at the end of a file, each with a checksum.

They come first, then a directory as JSON, then `FOOTER`, which says where that lies.
Arrays of equal bytes are stored once.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

MAGIC = b"EMBINDEX"
# the magic word; where the arrays begin; where the directory begins, and its checksum
FOOTER = struct.Struct("<8sQQI4x")
LARGEST_DIRECTORY = 2**26


def write_packed(
    file: IO[bytes], arrays: Mapping[str, np.ndarray], notes: Mapping[str, Any]
) -> None:
    """Writes arrays and notes (JSON) to the end of a file that is open for appending."""
    begin = file.seek(0, os.SEEK_END)
    entries: dict[str, Any] = {}
    place_of: dict[bytes, int] = {}  # content -> where it lies
    for name, array in arrays.items():
        content = np.ascontiguousarray(array).tobytes()
        if content not in place_of:
            place_of[content] = file.tell()
            file.write(content)
        entries[name] = {
            "dtype": array.dtype.str,
            "shape": array.shape,
            "at": place_of[content] - begin,
            "crc": zlib.crc32(content),
        }

    directory = json.dumps({"notes": notes, "arrays": entries}).encode()
    place = file.tell()
    file.write(directory)
    file.write(FOOTER.pack(MAGIC, begin, place, zlib.crc32(directory)))


class Packed:
    """What `write_packed` wrote, opened for reading.

    Attributes:
        begin: the size of what lies before it in the file.
        notes: as they were written.

    Raises:
        OSError: the file cannot be read.
        ValueError: there is nothing of the kind at its end, or it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size < FOOTER.size:
                raise ValueError("too short for a footer")
            file.seek(size - FOOTER.size)
            magic, begin, place, crc = FOOTER.unpack(file.read(FOOTER.size))
            length = size - FOOTER.size - place
            if magic != MAGIC or not 0 <= begin <= place:
                raise ValueError("no footer")
            if not 0 < length <= LARGEST_DIRECTORY:
                raise ValueError("no directory")
            file.seek(place)
            directory = file.read(length)

        if zlib.crc32(directory) != crc:
            raise ValueError("the directory is damaged")
        content = json.loads(directory)
        self.begin: int = begin
        self.notes: dict[str, Any] = content["notes"]
        self._entries: dict[str, Any] = content["arrays"]
        self._end: int = place

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def array(self, name: str) -> np.ndarray:
        """Returns an array; raises KeyError or ValueError if it is not there, whole."""
        entry = self._entries[name]
        dtype = np.dtype(entry["dtype"])
        length = dtype.itemsize * math.prod(entry["shape"])
        place = self.begin + entry["at"]
        if dtype.hasobject or not 0 <= length <= self._end - place:
            raise ValueError(f"{name} does not fit in")
        with self._path.open("rb") as file:
            file.seek(place)
            content = file.read(length)
        if zlib.crc32(content) != entry["crc"]:
            raise ValueError(f"{name} is damaged")
        return np.frombuffer(content, dtype).reshape(entry["shape"])

    def arrays_below(self, group: str) -> dict[str, np.ndarray]:
        """Returns the arrays whose names begin with `group/`, by the rest."""
        begin = f"{group}/"
        return {
            name.removeprefix(begin): self.array(name)
            for name in self._entries
            if name.startswith(begin)
        }


def as_bytes(value: Any) -> np.ndarray:
    """Returns JSON as an array of bytes."""
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def from_bytes(array: np.ndarray) -> Any:
    """Returns what `as_bytes` was given."""
    return json.loads(array.tobytes())
