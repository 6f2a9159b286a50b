"""Reads from URDF files what MuJoCo ignores: meshes in other folders, speed limits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import mujoco

from embodied.errors import EmbodiedError

URDF_SUFFIX = ".urdf"
PACKAGE = "package://"
# Mesh files that MuJoCo reads.
MESH_SUFFIXES = (".stl", ".obj", ".msh")
# Meshes are also searched in this many folders above the file's own.
FOLDERS_ABOVE = 4


def find_meshes(spec: mujoco.MjSpec, path: Path) -> None:
    """Gives each mesh the full path of its file, and keeps all links as bodies.

    The file may be beside the URDF file or in a folder above it.

    Args:
        spec: the model of the URDF file, not yet compiled.
        path: the URDF file.

    Raises:
        EmbodiedError: a mesh is not found, or MuJoCo cannot read files of its kind.
    """
    spec.compiler.fusestatic = False  # else bodies without a joint are merged
    spec.compiler.discardvisual = False  # else geoms that do not collide are lost

    folders = folders_above(path)
    spec.strippath = False  # the meshes get full paths below
    for mesh in spec.meshes:
        if mesh.file:
            found = find_file(mesh.file, folders)
            if found is None:
                raise EmbodiedError(
                    f"the mesh {mesh.file} of {path} is neither beside the file nor in a "
                    "folder above it"
                )
            if found.suffix.lower() not in MESH_SUFFIXES:
                raise EmbodiedError(
                    f"MuJoCo does not read the mesh {found}: convert it to one of "
                    f"{', '.join(MESH_SUFFIXES)}, and name that in {path}"
                )
            mesh.file = str(found)


def folders_above(path: Path) -> list[Path]:
    """Returns the folder of a file and FOLDERS_ABOVE folders above it, for meshes."""
    return [path.resolve().parent, *path.resolve().parents[1 : FOLDERS_ABOVE + 1]]


def find_file(name: str, folders: Sequence[Path]) -> Path | None:
    """Returns the path of a file that a model names; None if it is in no folder.

    A name a/b/c is searched as a/b/c in all folders, then as b/c, then as c.

    Args:
        name: the file's name in the model; it may begin with `package://<package>/`.
        folders: the folders to search.
    """
    parts = Path(name.removeprefix(PACKAGE)).parts
    for num_dropped in range(len(parts)):
        for folder in folders:
            candidate = folder.joinpath(*parts[num_dropped:])
            if candidate.is_file():
                return candidate
    return None


def speed_limits(path: Path) -> dict[str, float]:
    """Returns the speed limits in a URDF file, joint -> rad/s or m/s, where stated."""
    speeds = {}
    for joint in ElementTree.parse(path).getroot().iter("joint"):  # noqa: S314
        limit = joint.find("limit")
        if limit is not None and float(limit.get("velocity", 0)) > 0:
            speeds[joint.get("name", "")] = float(limit.get("velocity", 0))
    return speeds
