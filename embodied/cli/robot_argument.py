"""What --robot takes for the robot of a dataset, for the commands that are printed."""

from __future__ import annotations

from pathlib import Path

from embodied.datasets.reader import Dataset
from embodied.envs.registry import DESCRIPTION_SUFFIX, known_members
from embodied.errors import EmbodiedError
from embodied.names import TEAM_SIGN
from embodied.robots.described.content import content_hash
from embodied.robots.described.description import read_description

# Stands for a description that is not found.
UNKNOWN = "FILE.toml"


def robot_of_dataset(path: Path) -> str:
    """Returns what --robot takes for a dataset's robot: its name, or its description.

    A dataset holds a hash of the description, but not its path. So the description is
    looked for in the working folder and beside the dataset; UNKNOWN if it is not there.
    """
    with Dataset(path) as dataset:
        metadata = dataset.header.metadata
    name = str(metadata["robot"])
    if known_members(name):
        return name

    # a team has the hash of each member, in their order
    members = name.split(TEAM_SIGN)
    hashes = str(metadata.get("robot_hash", "")).split(TEAM_SIGN)
    if len(hashes) != len(members):
        return UNKNOWN
    folders = (Path(), path.parent)
    arguments = [
        _description(content, folders) if content else member
        for member, content in zip(members, hashes, strict=True)
    ]
    return TEAM_SIGN.join(arguments)


def _description(content: str, folders: tuple[Path, ...]) -> str:
    """Returns the path of the description with a content hash in one of the folders."""
    for folder in folders:
        for file in sorted(folder.glob(f"*{DESCRIPTION_SUFFIX}")):
            try:
                found = content_hash(read_description(file))
            except EmbodiedError:  # another kind of TOML file
                continue
            if found == content:
                return str(file)
    return UNKNOWN
