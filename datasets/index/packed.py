"""Named arrays appended to a file, each with a checksum.

The order is: the arrays' bytes, a directory of them as JSON, and `FOOTER`, which holds
the position of the directory. Arrays with equal bytes are stored once.
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

MAGIC = b"EMBINDEX"  # marks a footer as ours
# The footer's fields: MAGIC (8 bytes); the file position of the first array (uint64); the
# file position of the directory (uint64); the directory's CRC-32 (uint32); 4 unused bytes.
FOOTER = struct.Struct("<8sQQI4x")
# A longer directory can only be damage, because the directory of a dataset with thousands
# of episodes takes far less than these 64 MiB.
LARGEST_DIRECTORY = 2**26


def write_packed(
    file: IO[bytes], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> None:
    """Appends arrays and metadata to a file.

    Args:
        file: the file, open for appending.
        arrays: the arrays to store, by name.
        metadata: the JSON values to store in the directory.
    """
    begin = file.seek(0, os.SEEK_END)
    entries: dict[str, Any] = {}
    positions: dict[bytes, int] = {}  # an array's bytes -> their position in the file
    for name, array in arrays.items():
        content = np.ascontiguousarray(array).tobytes()
        if content not in positions:
            positions[content] = file.tell()
            file.write(content)
        entries[name] = {
            "dtype": array.dtype.str,
            "shape": array.shape,
            "at": positions[content] - begin,
            "crc": zlib.crc32(content),
        }

    # the file format calls the metadata `notes`
    directory = json.dumps({"notes": metadata, "arrays": entries}).encode()
    directory_position = file.tell()
    file.write(directory)
    file.write(FOOTER.pack(MAGIC, begin, directory_position, zlib.crc32(directory)))


class Packed:
    """Reads the arrays and metadata that `write_packed` appended to a file.

    Attributes:
        begin: the position of the first array, which is the file's size before
            `write_packed` appended to it.
        metadata: the metadata given to `write_packed`.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file does not end with packed arrays, or their directory is
            damaged.
    """

    def __init__(self, path: Path) -> None:
        """Reads the directory at the end of the file; arrays are read on demand."""
        self._path = path
        with path.open("rb") as file:
            # the file's last bytes: where the packed arrays and their directory begin
            size = file.seek(0, os.SEEK_END)
            if size < FOOTER.size:
                raise ValueError("too short for a footer")
            file.seek(size - FOOTER.size)
            magic, begin, position, crc = FOOTER.unpack(file.read(FOOTER.size))
            # the directory lies between the arrays and the footer
            length = size - FOOTER.size - position
            if magic != MAGIC or not 0 <= begin <= position:
                raise ValueError("no footer")
            if not 0 < length <= LARGEST_DIRECTORY:
                raise ValueError("no directory")
            file.seek(position)
            directory = file.read(length)

        if zlib.crc32(directory) != crc:
            raise ValueError("the directory is damaged")
        content = json.loads(directory)
        self.begin: int = begin
        self.metadata: dict[str, Any] = content["notes"]
        # name of an array -> its type, shape, position and checksum
        self._entries: dict[str, Any] = content["arrays"]
        self._arrays_end: int = position  # the directory follows the last array

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def array(self, name: str) -> np.ndarray:
        """Reads an array from the file, and checks its bytes by their checksum.

        Raises:
            KeyError: there is no array of that name.
            OSError: the file cannot be read.
            ValueError: the array is damaged.
        """
        # the array's length in bytes, and its position in the file
        entry = self._entries[name]
        dtype = np.dtype(entry["dtype"])
        length = dtype.itemsize * math.prod(entry["shape"])
        position = self.begin + entry["at"]

        # numpy would take an object's bytes from the file as a memory address
        if dtype.hasobject:
            raise ValueError(f"{name} holds Python objects, not numbers")
        if not 0 <= length <= self._arrays_end - position:
            raise ValueError(f"{name} extends beyond the end of the packed arrays")

        with self._path.open("rb") as file:
            file.seek(position)
            content = file.read(length)
        if zlib.crc32(content) != entry["crc"]:
            raise ValueError(f"the checksum of {name} does not match its bytes")
        return np.frombuffer(content, dtype).reshape(entry["shape"])

    def arrays_below(self, group: str) -> dict[str, np.ndarray]:
        """Reads all arrays named `group/<name>`; returns them by `<name>`."""
        prefix = f"{group}/"
        return {
            name.removeprefix(prefix): self.array(name)
            for name in self._entries
            if name.startswith(prefix)
        }


def json_to_array(value: Any) -> np.ndarray:
    """Returns the bytes of a value's JSON text as an array (n,) uint8."""
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def array_to_json(array: np.ndarray) -> Any:
    """Returns the value whose JSON text `json_to_array` stored in an array (n,) uint8."""
    return json.loads(array.tobytes())
