"""The cameras from whose pictures a policy learns."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from embodied.datasets.reader import Dataset
from embodied.errors import EmbodiedError
from embodied.policies.run_folder import policy_spec_from_json, read_info


def cameras_of_run(start: Path | None) -> Sequence[str]:
    """Returns the cameras of a run; () without a run."""
    if start is None:
        return ()
    return tuple(policy_spec_from_json(read_info(start)["spec"]).cameras)


def chosen_cameras(datasets: list[Path], wanted: Sequence[str]) -> tuple[str, ...]:
    """Returns the wanted cameras; by default those that all datasets have.

    Raises:
        EmbodiedError: a path is no dataset, the datasets differ in robot, or a dataset
            lacks the pictures of a camera.
    """
    recorded = []
    robots = []
    for path in datasets:
        with Dataset(path) as dataset:
            metadata = dataset.header.metadata
            recorded.append(list(metadata["config"]["cameras"]))
            robots.append(str(metadata["robot"]))

    # a run learns one or more tasks of one robot
    for path, robot in zip(datasets, robots, strict=True):
        if robot != robots[0]:
            raise EmbodiedError(
                f"{path} is of the robot {robot}, {datasets[0]} of {robots[0]}: train a "
                "run for each robot"
            )

    if not wanted:
        return _shared_cameras(datasets, recorded)
    for path, cameras in zip(datasets, recorded, strict=True):
        missing = [name for name in wanted if name not in cameras]
        if missing:
            raise EmbodiedError(
                f"{path} has no pictures of {', '.join(missing)}, but of "
                f"{', '.join(cameras) or 'no camera'}: choose from these with --camera, or "
                "collect it with the missing ones"
            )
    return tuple(wanted)


def _shared_cameras(
    datasets: Sequence[Path], recorded: Sequence[Sequence[str]]
) -> tuple[str, ...]:
    """Returns the cameras that all datasets have; says which ones are left out.

    Args:
        datasets: the paths of the datasets.
        recorded: the cameras of each dataset.

    Raises:
        EmbodiedError: a dataset has no cameras, or the datasets share none.
    """
    for path, cameras in zip(datasets, recorded, strict=True):
        if not cameras:
            raise EmbodiedError(
                f"{path} has no pictures to learn from: collect it with cameras"
            )

    every_camera = dict.fromkeys(name for cameras in recorded for name in cameras)
    shared = [
        name for name in every_camera if all(name in cameras for cameras in recorded)
    ]
    if not shared:
        has = [
            f"{path} has {', '.join(cameras)}"
            for path, cameras in zip(datasets, recorded, strict=True)
        ]
        raise EmbodiedError(
            f"no camera is in all datasets ({'; '.join(has)}): collect them with the same "
            "--camera"
        )

    left_out = [name for name in every_camera if name not in shared]
    if left_out:
        print(
            f"learning from {', '.join(shared)}: not all datasets have pictures of "
            f"{', '.join(left_out)}",
            file=sys.stderr,
        )
    return tuple(shared)
