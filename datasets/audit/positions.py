"""The robot's positions, found by the names of arrays and of their parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

# The part of our proprioception with the positions of all joints, in rad or m.
JOINTS = "joint_pos"
# A part or an element with one of these words in its name is no position.
NO_POSITION = ("vel", "torque", "effort", "force", "current", "load")
# The name endings of arrays below `obs` that may hold the robot's position in a file from
# elsewhere. The first line is used whose arrays exist and have the same length.
FOREIGN_POSITIONS = (
    ("joint_pos",),
    ("eef_pos", "ee_pos"),
    ("agent_pos",),
    ("state",),
)
# The state of the surroundings, whose jumps, such as a lamp's, are none of the robot.
SURROUNDINGS = "environment_state"


def position_columns(slices: Mapping[str, slice]) -> list[int]:
    """Returns the columns of the proprioception that hold positions.

    In a dataset of ours these are the joints and the widths of the grippers. A dataset
    that was imported may name its parts in any way: then all parts count whose names do
    not say otherwise.

    Args:
        slices: name of each part of the proprioception -> its columns.
    """
    names = [name for name in slices if name == JOINTS or name.endswith("_width")]
    if JOINTS not in names:
        names = [name for name in slices if may_be_position(name)]
    return [
        column
        for name in names
        for column in range(slices[name].start, slices[name].stop)
    ]


def may_be_position(name: str) -> bool:
    """Returns whether the name of a part or an element leaves open that it is a position."""
    return not any(word in name.lower() for word in NO_POSITION)


def foreign_positions(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the robot's positions (F, J) in a file from elsewhere; (0, 0) if unknown.

    They are in the units of the file.
    """
    observed = {
        name: matrix_of(value)
        for name, value in arrays.items()
        if name.startswith("obs/") and not name.endswith(SURROUNDINGS)
    }

    # use the first line of `FOREIGN_POSITIONS` whose arrays exist and have one length
    for endings in FOREIGN_POSITIONS:
        vectors = [
            value
            for name, value in observed.items()
            if name.endswith(endings) and value.size
        ]

        lengths = {len(value) for value in vectors}
        if len(lengths) == 1:
            return np.concatenate(vectors, axis=1).astype(np.float64)

    return np.zeros((0, 0))


def columns_of(array: np.ndarray, columns: Iterable[int]) -> np.ndarray:
    """Returns the given columns of an array (T, ...) as a matrix.

    Columns that the array lacks are skipped; if none is left, the result is (0, 0).
    """
    matrix = matrix_of(array)
    existing = [column for column in columns if column < matrix.shape[1]]
    if not existing:
        return np.zeros((0, 0))
    return matrix[:, existing].astype(np.float64)


def matrix_of(array: np.ndarray | None) -> np.ndarray:
    """Returns an array as a matrix (T, K); (0, 0) if it is None or empty."""
    if array is None or array.ndim == 0:
        return np.zeros((0, 0))
    return array.reshape(len(array), -1) if array.size else np.zeros((0, 0))
