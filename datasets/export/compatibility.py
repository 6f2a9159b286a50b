"""Whether dataset files can be exported together, and at which frame rates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from embodied.datasets.schema import DatasetError, Header

INTENDED_SINCE = 3  # the first schema version whose actions are the policy's intention


def require_one_robot(paths: Sequence[Path], headers: Sequence[Header]) -> None:
    """Raises DatasetError unless all files have the same robot, rate and actions."""
    first = _shared_properties(headers[0])
    for path, header in zip(paths, headers, strict=True):
        for name, value in _shared_properties(header).items():
            if value != first[name]:
                raise DatasetError(
                    f"{paths[0]} and {path} cannot be exported as one set: {name} is"
                    f" {first[name]!r} in the one, {value!r} in the other"
                )


def _shared_properties(header: Header) -> dict[str, object]:
    """Returns the properties that all files of one export must share, by name.

    The names are words for an error message. Since the schema version `INTENDED_SINCE`,
    actions are what the policy intended; in earlier versions they are what was executed,
    with noise.
    """
    metadata = header.metadata
    return {
        "robot": metadata.get("robot"),
        "record_hz": header.record_hz,
        "the parts of agent_pos": metadata.get("agent_layout"),
        "the meaning of actions": metadata.get("joint_interface"),
        "whether actions are as intended": header.schema_version >= INTENDED_SINCE,
    }


def frame_stride(header: Header, hz: int | None) -> int:
    """Returns the number of the files' frames that one exported frame covers.

    Args:
        header: the header of any of the files, which have one frame rate.
        hz: frames per second of the export; None for the files' rate.

    Raises:
        DatasetError: `hz` does not divide the files' rate.
    """
    if hz is None:
        return 1
    recorded_hz = header.record_hz
    possible_hz = [
        divisor for divisor in range(1, recorded_hz + 1) if recorded_hz % divisor == 0
    ]
    if hz not in possible_hz:
        raise DatasetError(
            f"frames were recorded at {recorded_hz} Hz, so they can be exported at"
            f" {', '.join(map(str, possible_hz))} Hz, not at {hz}"
        )
    return recorded_hz // hz
