"""Opening dataset files: checks that a file is a dataset, and reads its attributes."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from embodied.datasets.h5_files import open_to_read
from embodied.datasets.schema import (
    H5,
    READABLE_VERSIONS,
    DatasetError,
    EpisodeMeta,
    Header,
)


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
            f"{path} is truncated or damaged and cannot be opened: {error}"
        ) from error

    # A file that is refused must not stay open.
    try:
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
        with open_to_read(path) as file:
            return _is_ours(file)
    except OSError:
        return True


def demo_names(file: H5) -> list[str]:
    """Returns the names of the whole demos, in the order of their numbers.

    A demo is whole if it has `num_samples`, which is written last.
    """
    names = [name for name, demo in file["data"].items() if "num_samples" in demo.attrs]
    return sorted(names, key=lambda name: int(name.removeprefix("demo_")))


def read_header(file: H5) -> Header:
    """Returns the header of an open dataset.

    Raises:
        DatasetError: the header is damaged.
    """
    attrs = file["meta"].attrs
    planner_hz = float(attrs["planner_hz"]) if "planner_hz" in attrs else None
    try:
        return Header(
            metadata=json.loads(attrs["metadata"]),
            policy=str(attrs["policy"]),
            record_hz=int(attrs["record_hz"]),
            planner_hz=planner_hz,
            schema_version=int(attrs["schema_version"]),
        )
    except (KeyError, ValueError) as error:
        raise DatasetError(
            f"{file.filename} is damaged: the attributes of /meta cannot be read ({error})"
        ) from error


def read_meta(demo: H5) -> EpisodeMeta:
    """Returns the attributes of one whole demo.

    Raises:
        DatasetError: the attributes are damaged.
    """
    values: dict[str, Any] = {}
    for f in fields(EpisodeMeta):
        if f.name in demo.attrs:
            stored = demo.attrs[f.name]
            values[f.name] = stored.item() if isinstance(stored, np.generic) else stored

    try:
        values["variation"] = json.loads(values["variation"])
        return EpisodeMeta(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{demo.file.filename} is damaged: the attributes of {demo.name} cannot be read ({error})"
        ) from error


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
    return "meta" in file and "schema_version" in file["meta"].attrs and "data" in file


def _check_version(file: H5, path: Path) -> None:
    if not _is_ours(file):
        raise DatasetError(
            f"{path} is an HDF5 file but not a dataset of ours (no /meta with"
            f" schema_version); it holds {sorted(file)}"
        )
    version = file["meta"].attrs["schema_version"]
    if version not in READABLE_VERSIONS:
        raise DatasetError(
            f"{path} has schema version {version}; this package reads"
            f" {list(READABLE_VERSIONS)}"
        )
