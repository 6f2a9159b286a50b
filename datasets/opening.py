"""Opening dataset files: checks that a file is a dataset, and reads its attributes."""

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
)
from embodied.datasets.h5_files import open_to_read
from embodied.datasets.header_checks import wrong_entry
from embodied.datasets.schema import (
    H5,
    READABLE_VERSIONS,
    DatasetError,
    EpisodeMeta,
    Header,
)
from embodied.errors import one_line

DEMO_NAME = re.compile(r"demo_[0-9]{1,18}")
# name of an attribute of an episode -> its annotation, such as "float | None"
META_KINDS = {each.name: str(each.type) for each in fields(EpisodeMeta)}


def open_file(path: Path) -> H5:
    """Opens a dataset for reading, also while another process holds it.

    Raises:
        DatasetError: there is no file at the path; or it is not HDF5, truncated, not a
            dataset of ours, or of a schema version that this package does not read.
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
        raise DatasetError(
            f"{path} is truncated or damaged and cannot be opened: {one_line(error)}"
        ) from error

    # A file that is refused must not stay open.
    try:
        with damage_named(path):
            _check_version(file, path)
    except BaseException:
        file.close()
        raise
    return file


def may_be_dataset(path: Path) -> bool:
    """Returns whether a file is a dataset of ours, or too damaged to tell."""
    if not h5py.is_hdf5(path):
        return False
    try:
        with open_to_read(path) as file, damage_named(path):
            return _is_ours(file)
    except (OSError, DatasetError):
        return True


def demo_names(file: H5) -> list[str]:
    """Returns the names of the whole demos, in the order of their numbers.

    A demo is whole if it has `num_samples`, which is written last. Links to groups in
    other files are not followed, so these are left out.

    Raises:
        DatasetError: the file is damaged.
    """
    with damage_named(file, "data"):
        data = group_in(file, "data")
        names = [name for name in data if DEMO_NAME.fullmatch(name)]
        demos = {name: own_group(data, name) for name in names}
        whole = [
            name
            for name, demo in demos.items()
            if demo is not None and "num_samples" in demo.attrs
        ]
    return sorted(whole, key=lambda name: int(name.removeprefix("demo_")))


def stored_masks(file: H5, demos: Sequence[str]) -> dict[str, list[int]] | None:
    """Returns the numbers of the episodes in each mask; None if the file has no masks.

    Args:
        file: an open dataset.
        demos: the names of its episodes, in the order of their numbers.

    Raises:
        DatasetError: the masks are damaged.
    """
    with damage_named(file, "mask"):
        if "mask" not in file:
            return None

    # The file holds names of demos.
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
        attrs = file["meta"].attrs
        # files of policies without plans, or that nobody corrected, do not have these
        planner_hz = float(attrs["planner_hz"]) if "planner_hz" in attrs else None
        correction = None
        if "correction" in attrs:
            correction = json.loads(attrs["correction"])

        header = Header(
            metadata=json.loads(attrs["metadata"]),
            policy=str(attrs["policy"]),
            record_hz=int(attrs["record_hz"]),
            planner_hz=planner_hz,
            schema_version=int(attrs["schema_version"]),
            correction=correction,
        )

    # all can be read, but may be nonsense
    wrong = wrong_entry(header)
    if wrong:
        raise DatasetError(
            f"{file.filename} is damaged: {wrong} of /meta makes no sense"
        )
    return header


def read_meta(demo: H5) -> EpisodeMeta:
    """Returns the attributes of one whole demo.

    Raises:
        DatasetError: the attributes are damaged.
    """
    with damage_named(demo, "its attributes"):
        values: dict[str, Any] = {}
        for f in fields(EpisodeMeta):
            if f.name in demo.attrs:
                stored = demo.attrs[f.name]
                is_scalar = isinstance(stored, np.generic)
                values[f.name] = stored.item() if is_scalar else stored
        values["variation"] = json.loads(values["variation"])
        meta = EpisodeMeta(**values)
    _check_meta(meta, demo.file.filename, demo.name)
    return meta


def metas_of(columns: Mapping[str, Sequence[Any]]) -> list[EpisodeMeta]:
    """Returns the rows of a table of episodes that was kept elsewhere than in groups.

    Args:
        columns: name of a field -> its value in each episode.

    Raises:
        ValueError: a value is not of its field's kind.
        KeyError: a column is missing.
    """
    ordered = [columns[name] for name in META_KINDS]
    for values, kind in zip(ordered, META_KINDS.values(), strict=True):
        if not all(_is_of_kind(value, kind) for value in values):
            raise ValueError("a table of episodes holds a value of a wrong kind")
    return [EpisodeMeta(*row) for row in zip(*ordered, strict=True)]


def _check_meta(meta: EpisodeMeta, path: str, demo: str) -> None:
    """Raises DatasetError for an attribute that is not of the kind it should be."""
    for name, kind in META_KINDS.items():
        value = getattr(meta, name)
        if not _is_of_kind(value, kind):
            raise DatasetError(
                f"{path} is damaged: {name} of {demo} is {str(value)[:40]!r}, no "
                f"{kind.split()[0]}"
            )


def _is_of_kind(value: Any, kind: str) -> bool:
    """Returns whether a value is of the kind that a field of `EpisodeMeta` declares.

    Args:
        value: as it was read.
        kind: the field's annotation as text, such as "float | None".
    """
    if value is None:
        return kind.endswith("None")
    name = kind.split(maxsplit=1)[0]  # without "| None"
    if name == "float":
        return type(value) in (int, float) and math.isfinite(value)
    if name == "int":
        return type(value) is int
    # the only kind beside these is a mapping, `variation`
    return isinstance(value, {"bool": bool, "str": str}.get(name, dict))


def _check_path(path: Path) -> None:
    """Raises DatasetError unless there is an HDF5 file at a path."""
    if path.is_dir():
        raise DatasetError(f"{path} is a folder; a dataset is one HDF5 file")

    # The datasets beside it often show what was meant.
    folder = path.parent
    if not path.exists():
        datasets = []
        if folder.is_dir():
            datasets = sorted(file.name for file in folder.glob("*.hdf5"))
        raise DatasetError(f"no dataset at {path}; datasets in {folder}: {datasets}")

    if not h5py.is_hdf5(path):
        with path.open("rb") as raw:
            begin = raw.read(8)
        raise DatasetError(f"{path} is not an HDF5 file: it begins with {begin!r}")


def _is_ours(file: H5) -> bool:
    """Returns whether this package wrote a file, as its groups show."""
    meta = own_group(file, "meta")
    if meta is None or own_group(file, "data") is None:
        return False
    return "schema_version" in meta.attrs


def _check_version(file: H5, path: Path) -> None:
    """Raises DatasetError unless a file is ours, and of a schema that can be read."""
    if not _is_ours(file):
        raise DatasetError(
            f"{path} is an HDF5 file but not a dataset of ours (no /meta with"
            f" schema_version); it holds {sorted(file)}"
        )
    version = file["meta"].attrs["schema_version"]
    if not np.isscalar(version) or version not in READABLE_VERSIONS:
        raise DatasetError(
            f"{path} has schema version {version}; this package reads"
            f" {list(READABLE_VERSIONS)}"
        )
