"""A hash of all that makes a described robot: its description and its models' files.

It is the same wherever the files lie and whatever comments the description has. Any
other number in the description gives another one, and so does any other byte in a
model's file, in what that includes, or in the meshes and textures that it names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree

from embodied.errors import EmbodiedError
from embodied.robots.described.description import (
    DescribedArm,
    Description,
    read_description,
)
from embodied.robots.described.urdf import find_file, folders_above

# Attributes that name a file, in MJCF and in URDF; `file` is followed by a side where a
# texture is a cube.
FILE_ATTRIBUTES = ("file", "filename")
# Elements whose file is a model itself, and attributes that name a folder of files.
MODELS = ("include", "model")
FOLDERS = ("assetdir", "meshdir", "texturedir")


def content_hash(description: Description) -> str:
    """Returns the SHA-256 of a description, whose paths are absolute, and of its files.

    Raises:
        EmbodiedError: a file cannot be read.
    """
    # the files' contents stand for their paths
    arms = tuple(_without_path(arm) for arm in description.arm)
    gripper = description.gripper
    if gripper is not None:
        gripper = replace(gripper, mjcf=Path(gripper.mjcf).name)
    mjcf = Path(description.mjcf).name
    values = asdict(replace(description, mjcf=mjcf, gripper=gripper, arm=arms))
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())

    try:
        for file in _files(description):
            # of equal length each, so that no two lists of files give one text
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    except OSError as error:
        raise EmbodiedError(
            f"the file {error.filename} cannot be read: {error.strerror}"
        ) from error
    return digest.hexdigest()


def changed_ns(path: Path) -> tuple[int, ...]:
    """Returns when a description and its models' files were changed, in ns.

    Of a description that cannot be read, it is when itself was changed; of one that is
    not there, nothing.
    """
    try:
        files = [path, *_files(read_description(path))]
    except (EmbodiedError, OSError):
        files = [path]
    return tuple(file.stat().st_mtime_ns for file in files if file.exists())


def _files(description: Description) -> Iterator[Path]:
    """Yields the files of a robot's models, first the arm's."""
    yield from model_files(Path(description.mjcf))
    for arm in description.arms:
        if arm.gripper.mjcf:
            yield from model_files(Path(arm.gripper.mjcf))


def model_files(path: Path) -> Iterator[Path]:
    """Yields a model's file and all that it names, in the order of its text.

    What is named but not there is left out: MuJoCo refuses such a model, unless it has
    no use for the file.
    """
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
                    yield from _places(name, [file.parent, *folders], path)


def _places(name: str, folders: list[Path], path: Path) -> Iterator[Path]:
    """Yields where a file may be that a model names: all places, or a folder above.

    Which one MuJoCo takes depends on what kind of file it is; the others do no harm.
    """
    places = dict.fromkeys(folder / name for folder in folders)
    found = [place for place in places if place.is_file()]
    if not found:
        above = find_file(name, folders_above(path))
        found = [above] if above is not None else []
    yield from found


def _trees(
    path: Path, top: Path, above: frozenset[Path]
) -> Iterator[tuple[Path, ElementTree.Element]]:
    """Yields a model's file and those that it includes, each with what it holds.

    Args:
        path: of the file.
        top: the folder of the model that is loaded.
        above: the files that include this one.
    """
    try:
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))  # noqa: S314
    except (ElementTree.ParseError, UnicodeDecodeError):
        # MuJoCo reads more than this parser does, and says what it does not
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
    """Returns an arm whose gripper's file is known by its name alone."""
    return replace(arm, gripper=replace(arm.gripper, mjcf=Path(arm.gripper.mjcf).name))
