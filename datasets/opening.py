"""Opening dataset files: checking that a file is a dataset, and reading its attributes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from embodied.datasets.guarded import (
    arrays_in,
    damage_named,
    group_in,
    own_group,
    read_array,
    read_attribute,
)
from embodied.datasets.h5_files import open_to_read
from embodied.datasets.header_checks import first_invalid_entry
from embodied.datasets.schema import (
    H5,
    READABLE_VERSIONS,
    DatasetError,
    EpisodeMeta,
    Header,
)
from embodied.errors import one_line

DEMO_NAME = re.compile(r"demo_[0-9]{1,18}")  # more digits would not fit in an int64
# field of `EpisodeMeta` -> its annotation as text, such as "float | None"
META_KINDS = {each.name: str(each.type) for each in fields(EpisodeMeta)}


def open_file(path: Path) -> H5:
    """Opens a dataset for reading, also while other processes read it.

    Raises:
        DatasetError: there is no file at the path; it is not an HDF5 file; it is
            truncated; it is not a dataset of ours; its schema version cannot be read; or
            a process has the file open for writing, or was killed while it had the file
            open.
    """
    _check_path(path)
    try:
        file = open_to_read(path)
    except OSError as error:
        if "locking flag" in str(error):
            raise DatasetError(
                f"{path} is already open in this process with file locking: close it,"
                f" or open it as h5py.File({path.name!r}, locking=False)"
            ) from error
        if "already open for write" in str(error):
            # HDF5 marks a file as long as a process has it open for writing
            raise DatasetError(
                f"{path} is open for writing in a process, or was when that process was "
                f"killed: close it there, or clear the mark with `h5clear -s {path}` (of "
                "HDF5's own tools)"
            ) from error
        raise DatasetError(
            f"{path} is truncated or damaged and cannot be opened: {one_line(error)}"
        ) from error

    # close the file again if it is refused
    try:
        with damage_named(path):
            _check_version(file, path)
    except BaseException:
        file.close()
        raise
    return file


def may_be_dataset(path: Path) -> bool:
    """Returns whether a file is a dataset of ours, or an HDF5 file too damaged to tell."""
    if not h5py.is_hdf5(path):
        return False
    try:
        with open_to_read(path) as file, damage_named(path):
            return _is_ours(file)
    except (OSError, DatasetError):
        return True


def demo_names(file: H5) -> list[str]:
    """Returns the names of the complete demos, in the order of their numbers.

    A demo is complete if it has the attribute `num_samples`, which is written last.
    Links to groups in other files are never followed, so such demos are left out.

    Raises:
        DatasetError: the file is damaged.
    """
    with damage_named(file, "data"):
        data = group_in(file, "data")
        names = [name for name in data if DEMO_NAME.fullmatch(name)]
        # None for a demo that is a link
        demos = {name: own_group(data, name) for name in names}
        complete = [
            name
            for name, demo in demos.items()
            if demo is not None and "num_samples" in demo.attrs
        ]
    return sorted(complete, key=lambda name: int(name.removeprefix("demo_")))


def stored_masks(file: H5, demos: Sequence[str]) -> dict[str, list[int]] | None:
    """Returns the numbers of the episodes in each mask; None if the file has no masks.

    Args:
        file: an open dataset.
        demos: the names of the file's episodes, in the order of their numbers.

    Raises:
        DatasetError: the masks are damaged.
    """
    with damage_named(file, "mask"):
        if "mask" not in file:
            return None

    # a mask is stored as the names of its demos
    numbers = {demo: number for number, demo in enumerate(demos)}
    masks = {}
    for name, array in arrays_in(group_in(file, "mask")).items():
        names = read_array(array).ravel().tolist()
        with damage_named(Path(file.filename), f"/mask/{name}"):
            masks[name] = [numbers[demo.decode()] for demo in names]
    return masks


def read_header(file: H5) -> Header:
    """Returns the header of an open dataset.

    Raises:
        DatasetError: the header is damaged.
    """
    with damage_named(Path(file.filename), "the attributes of /meta"):
        meta = file["meta"]
        stored = {name: read_attribute(meta, name) for name in meta.attrs}
        # only a policy that plans has a planner rate, only a corrected one a correction
        planner_hz = None
        if "planner_hz" in stored:
            planner_hz = float(stored["planner_hz"])
        correction = None
        if "correction" in stored:
            correction = json.loads(stored["correction"])

        header = Header(
            metadata=json.loads(stored["metadata"]),
            policy=str(stored["policy"]),
            record_hz=int(stored["record_hz"]),
            planner_hz=planner_hz,
            schema_version=int(stored["schema_version"]),
            correction=correction,
        )

    # the entries can be read, but their values may still be invalid
    invalid_entry = first_invalid_entry(header)
    if invalid_entry:
        raise DatasetError(
            f"{file.filename} is damaged: {invalid_entry} of /meta makes no sense"
        )
    return header


def read_meta(demo: H5) -> EpisodeMeta:
    """Returns a demo's row of the table of episodes, from its attributes.

    Args:
        demo: the group of a complete demo.

    Raises:
        DatasetError: the attributes are damaged.
    """
    with damage_named(demo, "its attributes"):
        values: dict[str, Any] = {}
        for f in fields(EpisodeMeta):
            if f.name in demo.attrs:
                values[f.name] = read_attribute(demo, f.name)
        values["variation"] = json.loads(values["variation"])
        meta = EpisodeMeta(**values)
    _check_meta(meta, demo.file.filename, demo.name)
    return meta


def episode_metas(columns: Mapping[str, Sequence[Any]]) -> list[EpisodeMeta]:
    """Converts a table of episodes from columns to rows.

    Args:
        columns: for each field of `EpisodeMeta`, by name, its value in each episode.

    Raises:
        ValueError: a value has a wrong type.
        KeyError: a column is missing.
    """
    # in the order of the fields, in which the constructor takes them
    ordered = [columns[name] for name in META_KINDS]
    for values, kind in zip(ordered, META_KINDS.values(), strict=True):
        if not all(_is_of_kind(value, kind) for value in values):
            raise ValueError("the table of episodes has a value of a wrong type")
    return [EpisodeMeta(*row) for row in zip(*ordered, strict=True)]


def _check_meta(meta: EpisodeMeta, path: str, demo: str) -> None:
    """Raises DatasetError if an attribute of a demo has a wrong type."""
    for name, kind in META_KINDS.items():
        value = getattr(meta, name)
        if not _is_of_kind(value, kind):
            raise DatasetError(
                f"{path} is damaged: {name} of {demo} is {str(value)[:40]!r}, no "
                f"{kind.split()[0]}"
            )


def _is_of_kind(value: Any, kind: str) -> bool:
    """Returns whether a value has the type of a field of `EpisodeMeta`.

    Args:
        value: the value as it was read.
        kind: the field's annotation as text, such as "float | None".
    """
    if value is None:
        return kind.endswith("None")
    type_name = kind.split(maxsplit=1)[0]  # without "| None"
    # `type` rather than `isinstance`, for which a bool is an int
    if type_name == "float":
        return type(value) in (int, float) and math.isfinite(value)
    if type_name == "int":
        return type(value) is int
    if type_name == "bool":
        return isinstance(value, bool)
    if type_name == "str":
        return isinstance(value, str)
    # the only other field is `variation`, a mapping
    return isinstance(value, dict)


def _check_path(path: Path) -> None:
    """Raises DatasetError unless there is an HDF5 file at a path."""
    if path.is_dir():
        hint = ""
        if (path / "meta" / "info.json").exists():
            hint = (
                f": read LeRobot's folder by `embodied data import {path} -o NEW.hdf5`"
            )
        raise DatasetError(f"{path} is a folder; a dataset is one HDF5 file{hint}")

    # list the datasets in the folder: often the name was mistyped
    folder = path.parent
    if not path.exists():
        names = []
        if folder.is_dir():
            names = sorted(file.name for file in folder.glob("*.hdf5"))
        listed = ", ".join(names) if names else "none"
        raise DatasetError(f"no dataset at {path}; datasets in {folder}: {listed}")

    # the first bytes show what kind of file it is
    if not h5py.is_hdf5(path):
        with path.open("rb") as raw:
            begin = raw.read(8)
        raise DatasetError(f"{path} is not an HDF5 file: it begins with {begin!r}")


def _is_ours(file: H5) -> bool:
    """Returns whether a file has the groups of a dataset of this package."""
    meta = own_group(file, "meta")
    if meta is None or own_group(file, "data") is None:
        return False
    return "schema_version" in meta.attrs


def _check_version(file: H5, path: Path) -> None:
    """Raises DatasetError unless a file is ours, and its schema version can be read."""
    if not _is_ours(file):
        raise DatasetError(
            f"{path} is an HDF5 file but not a dataset of ours (no /meta with"
            f" schema_version); it holds {sorted(file)}"
        )
    version = file["meta"].attrs["schema_version"]
    if not np.isscalar(version) or version not in READABLE_VERSIONS:
        raise DatasetError(
            f"{path} has schema version {str(version)[:40]}; this package reads"
            f" {list(READABLE_VERSIONS)}"
        )
