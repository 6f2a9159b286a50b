"""A hash of a described robot: of its description and of its models' files.

It depends on every value of the description and on every byte of the models' files,
including their meshes and textures. It does not depend on the folder of the files or on
comments in the description.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from embodied.errors import EmbodiedError
from embodied.robots.described.description import (
    DescribedArm,
    Description,
    read_description,
)
from embodied.robots.described.urdf import find_file, folders_above

# Attributes that name a file begin with these, in MJCF and in URDF. A cube texture has
# one for each side, such as `fileright`.
FILE_ATTRIBUTES = ("file", "filename")
# Elements that name another model's file.
MODELS = ("include", "model")
# Attributes of `compiler` that name a folder of files.
FOLDERS = ("assetdir", "meshdir", "texturedir")


def content_hash(description: Description) -> str:
    """Returns one SHA-256 of a description and of its files, wherever they lie.

    Args:
        description: a description whose paths are absolute.

    Raises:
        EmbodiedError: a file cannot be read.
    """
    # keep only the files' names, because the hash must not depend on their folders
    arms = tuple(_without_path(arm) for arm in description.arm)
    gripper = description.gripper
    if gripper is not None:
        gripper = replace(gripper, mjcf=Path(gripper.mjcf).name)
    mjcf = Path(description.mjcf).name
    values = _values(replace(description, mjcf=mjcf, gripper=gripper, arm=arms))
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())

    try:
        for file in _files(description):
            # Each file's own hash has the same length. Hashing the bytes themselves could
            # give two lists of files the same text.
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    except OSError as error:
        raise EmbodiedError(
            f"the file {error.filename} cannot be read: {error.strerror}"
        ) from error
    return digest.hexdigest()


def _values(table: Any) -> Any:
    """Returns a description, or a value in it, as plain data for JSON.

    Keys marked `later` are left out if they have their default, so that a robot described
    before such a key existed keeps its hash.
    """
    if isinstance(table, tuple):
        return [_values(item) for item in table]
    if not is_dataclass(table):
        return table

    values = {}
    for f in fields(table):
        value = getattr(table, f.name)
        if f.metadata.get("later") and value == f.default:
            continue
        values[f.name] = _values(value)
    return values


def changed_ns(path: Path) -> tuple[int, ...]:
    """Returns the modification times of a description and of its models' files, ns.

    If the description cannot be read, only its own time is returned. If the file does not
    exist, the result is empty.
    """
    description_time_ns = (path.stat().st_mtime_ns,) if path.exists() else ()
    try:
        return description_time_ns + file_times_ns(read_description(path))
    except EmbodiedError:
        return description_time_ns


def file_times_ns(description: Description) -> tuple[int, ...]:
    """Returns the modification times of a description's model files, ns.

    The result is empty if a model cannot be read.
    """
    try:
        return tuple(file.stat().st_mtime_ns for file in _files(description))
    except OSError:
        return ()


def _files(description: Description) -> Iterator[Path]:
    """Yields the files of a robot's models, the arm's first."""
    yield from model_files(Path(description.mjcf))
    for arm in description.arms:
        if arm.gripper.mjcf:
            yield from model_files(Path(arm.gripper.mjcf))


def model_files(path: Path) -> Iterator[Path]:
    """Yields a model's file and all files that it names, in the order of its text.

    Missing files are left out: if the model uses one, MuJoCo refuses it with an error.
    """
    # the folders in which files may be
    trees = list(_trees(path, path.parent, frozenset()))
    folders = [path.parent]
    for _, tree in trees:
        for compiler in tree.iter("compiler"):
            named = [compiler.get(key) for key in FOLDERS]
            folders += [path.parent / name for name in named if name]

    for file, tree in trees:
        yield file
        for element in tree.iter():
            if element.tag in MODELS:
                continue
            for key, name in element.attrib.items():
                if key.startswith(FILE_ATTRIBUTES) and name:
                    yield from _files_named(name, [file.parent, *folders], path)


def _files_named(name: str, folders: list[Path], model: Path) -> Iterator[Path]:
    """Yields the files that a name in a model may mean.

    These are all files of that name in `folders`. MuJoCo takes one of them, depending on
    the kind of file; hashing the others as well does no harm. If there is none, the
    folders above the model's file are searched.
    """
    candidates = dict.fromkeys(folder / name for folder in folders)
    found = [candidate for candidate in candidates if candidate.is_file()]
    if not found:
        above = find_file(name, folders_above(model))
        found = [above] if above is not None else []
    yield from found


def _trees(
    path: Path, top: Path, above: frozenset[Path]
) -> Iterator[tuple[Path, ElementTree.Element]]:
    """Yields a model's file and the files that it includes, each with its parsed XML.

    Args:
        path: the model's file.
        top: the folder of the file that the description names.
        above: the files that include this one; they are not read again, so that a cycle
            of includes ends.
    """
    try:
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))  # noqa: S314
    except (ElementTree.ParseError, UnicodeDecodeError):
        # MuJoCo's parser accepts more than Python's, and reports true errors itself
        root = ElementTree.Element("mujoco")
    yield path, root
    for element in root.iter():
        name = element.get("file")
        if element.tag not in MODELS or not name:
            continue
        included = find_file(name, [path.parent, top])
        if included is not None and included not in above:
            yield from _trees(included, top, above | {path})


def _without_path(arm: DescribedArm) -> DescribedArm:
    """Returns the arm with its gripper's file reduced to the file's name."""
    return replace(arm, gripper=replace(arm.gripper, mjcf=Path(arm.gripper.mjcf).name))
