"""The range of another tool's actions, and their normalisation to [-1, 1]."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied.datasets.schema import ACTIONS_MODE, DatasetError

# The name of the only group in the action interface, to which all elements of a foreign
# action belong.
GROUP = "action"


@dataclass(frozen=True)
class ActionRange:
    """The range of foreign actions, which is mapped to [-1, 1]."""

    low: np.ndarray  # (A,) becomes -1
    high: np.ndarray  # (A,) becomes 1

    @classmethod
    def of(cls, actions: Iterable[np.ndarray]) -> ActionRange:
        """Returns the smallest range that holds all actions.

        If all actions already lie within [-1, 1], this is the range, so that actions are
        not changed.

        Args:
            actions: the actions (F, A) of each episode.

        Raises:
            DatasetError: there are no actions; their widths differ; or a value is not
                finite.
        """
        lows = []
        highs = []
        for number, values in enumerate(actions):
            if not np.isfinite(values).all():
                raise DatasetError(f"actions of episode {number} hold NaN or infinity")
            lows.append(values.min(axis=0))
            highs.append(values.max(axis=0))
        if len({low.shape for low in lows}) != 1:
            raise DatasetError("there are no actions, or their widths differ")

        low = np.min(lows, axis=0).astype(np.float64)
        high = np.max(highs, axis=0).astype(np.float64)
        if (low >= -1).all() and (high <= 1).all():
            return cls(np.full_like(low, -1), np.full_like(high, 1))
        # An element that is constant gets a range around its value, so that it becomes 0
        # and is not divided by 0.
        is_constant = low == high
        low = np.where(is_constant, low - 1, low)
        high = np.where(is_constant, high + 1, high)
        return cls(low, high)

    def interface(self, names: Iterable[str]) -> dict[str, Any]:
        """Returns the action interface of a foreign dataset, in the form of a header.

        Other tools store neither units nor coordinate frames, and often no control mode.
        In our schema, `actions` always have the mode `ACTIONS_MODE`, so imported actions
        are stored with this mode, whatever they mean.

        Args:
            names: the names of the elements of an action.
        """
        group = {
            "name": GROUP,
            "labels": list(names),
            # "1" stands for numbers without a unit
            "unit": "1",
            "frame": "unknown",
            "low": self.low.tolist(),
            "high": self.high.tolist(),
        }
        return {"mode": ACTIONS_MODE, "groups": [group]}

    def to_normalized(self, actions: np.ndarray) -> np.ndarray:
        """Returns actions (F, A), mapped from the range to [-1, 1]."""
        half_range = (self.high - self.low) / 2
        # if the range is [-1, 1], computing would only add rounding errors
        if (half_range == 1).all() and (self.low == -1).all():
            return actions.astype(np.float32)
        normalized = (actions - (self.low + half_range)) / half_range
        return np.clip(normalized, -1, 1).astype(np.float32)
