"""What the datasets of a training have in common with each other, and with a first run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from embodied.datasets.reader import Dataset
from embodied.errors import EmbodiedError
from embodied.policies.training.config import ImitationConfig
from embodied.policies.vla.run_folder import RunInfo, read_run

# Entries of the metadata that all datasets of a training must share. Their tasks may differ:
# one policy may learn several tasks of a robot.
COMMON_METADATA = (
    "robot",
    "action_interface",
    "agent_layout",
    "control_hz",
    "image_size",
)


def common_metadata(
    datasets: Sequence[Path],
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Returns the metadata of the first dataset, after comparing it with the others.

    Returns:
        The metadata, to which the entries `control_hz`, `image_size` and `planner_hz` are
        added, and the names of the datasets' tasks, each once.

    Raises:
        EmbodiedError: the datasets differ in an entry of COMMON_METADATA.
    """
    headers = []
    for path in datasets:
        with Dataset(path) as dataset:
            recorded = dataset.header.metadata
            headers.append(
                {
                    **recorded,
                    "control_hz": recorded["config"]["control_hz"],
                    "image_size": recorded["config"]["image_size"],
                    "planner_hz": dataset.header.planner_hz,
                }
            )

    first = headers[0]
    for path, header in zip(datasets, headers, strict=True):
        for key in COMMON_METADATA:
            if header[key] != first[key]:
                raise EmbodiedError(
                    f"{path} differs from {datasets[0]} in {key}: "
                    f"{header[key]}, not {first[key]}"
                )
    tasks = dict.fromkeys(str(header["task"]) for header in headers)
    return first, tuple(tasks)


def require_start_fits(
    config: ImitationConfig, metadata: Mapping[str, Any], tasks: Sequence[str]
) -> None:
    """Raises EmbodiedError if the run to start from is of another system or for other datasets.

    Args:
        config: the settings of the training. If they name no run to start from, there is
            no error.
        metadata: the metadata of the datasets (`common_metadata`).
        tasks: the tasks of the datasets, which the run must have learned.
    """
    if config.start is None:
        return

    info = read_run(config.start)
    require_same_system(config, info)
    trained = {
        **info.metadata,
        "robot": info.robot,
        "control_hz": info.spec.control_hz,
        "image_size": info.net.image_size,
        "cameras": list(info.net.cameras),
    }

    given = {**metadata, "cameras": list(config.cameras)}
    for key in (*COMMON_METADATA, "cameras"):
        if trained[key] != given[key]:
            raise EmbodiedError(
                f"the run {config.start} was trained for another {key} than that of "
                f"{config.datasets[0]}: {trained[key]}, not {given[key]}"
            )

    # the run's vocabulary lacks the words of other tasks
    new = [task for task in tasks if task not in info.tasks]
    if new:
        raise EmbodiedError(
            f"the run {config.start} was trained for {' and '.join(info.tasks)}, not "
            f"{' and '.join(new)}: train on the datasets of all tasks together, without "
            "--from"
        )


def require_same_system(config: ImitationConfig, info: RunInfo) -> None:
    """Raises EmbodiedError if the run to start from is of another system.

    Args:
        config: the settings.
        info: the info of the run `config.start`.
    """
    head = None if info.head is None else info.head.name
    if head == config.head:
        return
    if head is None:
        raise EmbodiedError(
            f"the run {config.start} is a dual system, not a single one: leave out "
            "--system and --head, or leave out --from"
        )
    raise EmbodiedError(
        f"the run {config.start} is a single system with the head {head}, but the "
        f"system to train is {config.system}: give --system single --head {head}, or "
        "leave out --from"
    )
