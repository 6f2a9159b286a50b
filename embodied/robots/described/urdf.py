"""URDF files: MuJoCo reads them, but looks for meshes in the file's own folder only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mujoco

from embodied.errors import EmbodiedError

URDF_SUFFIX = ".urdf"
PACKAGE = "package://"
# How many folders above the file's own are searched for meshes.
ABOVE = 4


def find_meshes(spec: mujoco.MjSpec, path: Path) -> None:
    """Names each mesh by where it is: beside the file, or in a folder above it.

    Frames without a joint of their own, such as a tool's, stay bodies.

    Args:
        spec: the model of a URDF file, not yet compiled.
        path: of the file.

    Raises:
        EmbodiedError: a mesh is nowhere.
    """
    spec.compiler.fusestatic = False  # else bodies without a joint are merged away
    spec.compiler.discardvisual = False  # else shapes that do not collide are lost
    folders = folders_above(path)
    spec.strippath = False  # the names below are whole paths
    for mesh in spec.meshes:
        if mesh.file:
            found = find_file(mesh.file, folders)
            if found is None:
                raise EmbodiedError(
                    f"the mesh {mesh.file} of {path} is neither beside the file nor in a "
                    "folder above it"
                )
            mesh.file = str(found)


def folders_above(path: Path) -> list[Path]:
    """Returns the folder of a file, and those above it that are searched for meshes."""
    return [path.resolve().parent, *path.resolve().parents[1 : ABOVE + 1]]


def find_file(name: str, folders: Sequence[Path]) -> Path | None:
    """Returns the path of a file that a model names; None where it is in no folder.

    Args:
        name: of the file; it may begin with `package://<package>/`.
        folders: where it may lie, with fewer and fewer of its own leading folders.
    """
    parts = Path(name.removeprefix(PACKAGE)).parts
    for first in range(len(parts)):
        for folder in folders:
            candidate = folder.joinpath(*parts[first:])
            if candidate.is_file():
                return candidate
    return None
