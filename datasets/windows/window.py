"""The form of a window: rows of several arrays around one moment of an episode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embodied.errors import EmbodiedError

FRAMES = "frames"
PLANS = "plans"
STREAMS = "streams/"

# The names of the arrays with the timestamps of frames and of plans. The timestamp of a
# plan is the time at which its oldest image was captured.
FRAME_TICKS = "frame_tick"
PLAN_TICKS = "plans/tick_frame"


@dataclass(frozen=True)
class Window:
    """The rows of arrays that each window contains.

        Window(
            {
                "obs/agent_pos": range(-1, 1),  # the frame before, and the newest
                "obs/front_image": range(-1, 1),
                "actions": range(16),  # from the newest frame on
            },
            plan_age_s=(0.0, 0.5),
        )

    Arrays may have different rates. In each array, row 0 is the newest row at the window's
    moment, and earlier rows have negative numbers. Rows beyond the episode are padding:
    before the start the first row is repeated, after the end the last row.

    Attributes:
        rows: the name of an array -> the numbers of its rows in the window. Examples of
            names are `actions`, `obs/agent_pos`, `streams/intended` and
            `plans/goal_pos_w`.
        at: the moments of the windows: there is one window for each row of `frames`, of
            `plans`, or of a stream such as `streams/intended`.
        plan_age_s: the smallest and the largest age of the plan that a window contains;
            None for windows without a plan.
    """

    rows: Mapping[str, range]
    at: str = FRAMES
    plan_age_s: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Raises EmbodiedError if rows, moments or ages are not valid."""
        if not self.rows:
            raise EmbodiedError(
                "a window needs rows: give some, such as {'actions': range(16)}"
            )

        for name, rows in self.rows.items():
            _check_rows(name, rows)

        if self.at not in (FRAMES, PLANS) and not self.at.startswith(STREAMS):
            raise EmbodiedError(
                f"a window cannot be at {self.at!r}: give {FRAMES!r}, {PLANS!r} or a "
                "stream such as 'streams/intended'"
            )

        if self.plan_age_s is not None:
            smallest_s, largest_s = self.plan_age_s
            if not 0 <= smallest_s <= largest_s:
                raise EmbodiedError(
                    "plan_age_s must be the least and the greatest age in s, at least "
                    f"0, not {self.plan_age_s}"
                )


def _check_rows(name: str, rows: Any) -> None:
    """Raises EmbodiedError unless the rows of an array are a rising range."""
    if not isinstance(rows, range) or not rows or rows.step < 1:
        raise EmbodiedError(
            f"the rows of {name} must be a range that rises, such as range(-1, 1) or "
            f"range(16), not {rows!r}"
        )


def stored_key(name: str) -> str:
    """Returns an array's name in the file; a stream stands for its array of values."""
    if name.startswith(STREAMS) and not name.endswith("/value"):
        return f"{name}/value"
    return name


def ticks_key(name: str) -> str:
    """Returns the name of the array with the timestamps of an array's rows.

    Args:
        name: the name of an array, or a value of `Window.at`.
    """
    if name.startswith(STREAMS):
        return f"{stored_key(name).removesuffix('/value')}/t"
    if name == PLANS or name.startswith(f"{PLANS}/"):
        return PLAN_TICKS
    return FRAME_TICKS
