"""URDF files: MuJoCo reads them, but looks for meshes in the file's own folder only."""

from __future__ import annotations

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
    folders = [path.resolve().parent, *path.resolve().parents[1 : ABOVE + 1]]
    spec.strippath = False  # the names below are whole paths
    for mesh in spec.meshes:
        if mesh.file:
            mesh.file = str(_found(mesh.file, folders, path))


def _found(file: str, folders: list[Path], path: Path) -> Path:
    """Returns the path of a mesh, whose name may begin with `package://<package>/`."""
    parts = Path(file.removeprefix(PACKAGE)).parts
    # with fewer and fewer leading folders, from each folder upwards
    for first in range(len(parts)):
        for folder in folders:
            candidate = folder.joinpath(*parts[first:])
            if candidate.is_file():
                return candidate
    raise EmbodiedError(
        f"the mesh {file} of {path} is neither beside the file nor in a folder above it"
    )
