"""Checks of form: finite values, matching lengths, and correct times."""

from __future__ import annotations

from collections import Counter

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.datasets.audit.context import Context
from embodied.datasets.audit.findings import Finding
from embodied.datasets.audit.view import View, seconds
from embodied.wording import counted

# The arrays with one row per frame, apart from those below `obs`.
FRAME_ARRAYS = ("actions", "rewards", "dones", "states", "frame_tick", "image_tick")
# A message lists at most this many arrays.
SHOWN_ARRAYS = 4
# `_shift_text` tries shifts in time up to this many control steps.
LARGEST_SHIFT = 100


def find_fault(view: View, context: Context) -> list[Finding]:
    """Finds data that cannot be read, and episodes whose world had a fault."""
    if view.damage:
        return [Finding("fault", "EXCLUDE", view.damage)]
    if view.meta is not None and view.meta.fault:
        message = f"the world had a fault: {view.meta.fault}"
        return [Finding("fault", "EXCLUDE", message)]
    return []


def find_not_finite(view: View, context: Context) -> list[Finding]:
    """Finds arrays of an episode that hold NaN or infinity."""
    findings = []
    for path, rows in view.arrays.items():
        # integers are always finite
        if not np.issubdtype(rows.dtype, np.floating) or np.isfinite(rows).all():
            continue

        # an array that is a single number counts as one row
        flat = rows.reshape(len(rows), -1) if rows.ndim else rows.reshape(1, 1)
        is_bad_row = ~np.isfinite(flat).all(axis=1)
        first = int(np.argmax(is_bad_row))

        message = (
            f"not all numbers of {path} are finite: in {counted(int(is_bad_row.sum()), 'row')}, "
            f"from row {first} on"
        )
        start_s = row_time_s(view, path, first)
        findings.append(Finding("not_finite", "EXCLUDE", message, start_s))
    return findings


def find_ragged(view: View, context: Context) -> list[Finding]:
    """Finds arrays of a wrong length: per frame, or per control step."""
    frames = view.num_frames
    if not frames:
        return [Finding("ragged", "EXCLUDE", "there are no actions")]

    # path -> number of rows, of the arrays with one row per frame
    frame_rows = {
        f"camera {name}": len(camera.digest) for name, camera in view.cameras.items()
    }
    for path, array in view.arrays.items():
        if path in FRAME_ARRAYS or path.startswith("obs/"):
            frame_rows[path] = len(array) if array.ndim else 0
    wrong_rows = {path: rows for path, rows in frame_rows.items() if rows != frames}
    if view.meta is not None and view.meta.num_samples != frames:
        wrong_rows["num_samples"] = view.meta.num_samples

    # Streams have one row per control step. The number of steps is not stored, so the
    # length that most streams have is assumed to be right.
    step_rows = {
        path: len(array)
        for path, array in view.arrays.items()
        if path.startswith("streams/") and array.ndim
    }
    if step_rows:
        [(usual, _)] = Counter(step_rows.values()).most_common(1)
        wrong_rows |= {path: rows for path, rows in step_rows.items() if rows != usual}

    if not wrong_rows:
        return []
    shown = sorted(wrong_rows.items())[:SHOWN_ARRAYS]
    listed = ", ".join(f"{path} has {rows}" for path, rows in shown)
    message = f"for {frames} actions, {listed} rows"
    return [Finding("ragged", "EXCLUDE", message)]


def find_bad_times(view: View, context: Context) -> list[Finding]:
    """Finds timestamps of frames or control steps that are not evenly spaced."""
    ticks_per_step = PHYSICS_HZ / view.source.control_hz
    ticks_per_frame = PHYSICS_HZ / view.source.frame_hz
    findings = []
    for path, ticks in view.arrays.items():
        is_stream = path.startswith("streams/") and path.endswith("/t")
        if not is_stream and path != "frame_tick":
            continue
        if len(ticks) < 2:
            continue

        # A control step is a whole number of ticks, so streams are spaced exactly. The
        # time of a frame is rounded to a tick, so the gap to the next frame may be one
        # tick off.
        expected = ticks_per_step if is_stream else ticks_per_frame
        tolerance = 0.0 if is_stream else 1.0
        gaps = np.diff(ticks)
        is_wrong = np.abs(gaps - expected) > tolerance
        if is_wrong.any():
            row = int(np.argmax(is_wrong))  # the first wrong gap
            message = (
                f"{path} advances by {gaps[row]} ticks after row {row}, in place of "
                f"{expected:g}"
            )
            start_s = seconds(ticks[row])
            findings.append(Finding("times", "EXCLUDE", message, start_s))
    return findings


def find_old_pictures(view: View, context: Context) -> list[Finding]:
    """Finds images that are too old for their frame, or newer than their frame."""
    frame_ticks = view.arrays.get("frame_tick")
    image_ticks = view.arrays.get("image_tick")
    if frame_ticks is None or image_ticks is None:
        return []
    if len(frame_ticks) != len(image_ticks):
        return []

    # The limit is a number of frame periods. If the camera is slower than the frames, so
    # that several frames share an image, it is a number of the camera's periods.
    camera_hz = view.source.frame_hz
    if view.source.header is not None:
        config = view.source.header.metadata.get("config", {})
        camera_hz = min(camera_hz, config.get("camera_hz") or camera_hz)
    largest_age = context.limits.picture_age_frames * PHYSICS_HZ / camera_hz
    age = frame_ticks - image_ticks  # (F,) ticks
    is_wrong = (age < 0) | (age > largest_age)
    if not is_wrong.any():
        return []
    row = int(np.argmax(is_wrong))
    message = (
        f"{int(is_wrong.sum())} images are not of their frame's time, up to "
        f"{seconds(np.abs(age).max()):.2f} s off"
    )
    start_s = seconds(frame_ticks[row])
    return [Finding("old_pictures", "REVIEW", message, start_s)]


def find_different_readings(view: View, context: Context) -> list[Finding]:
    """Finds frames whose proprioception differs from the stream's row at the same tick."""
    observed = view.arrays.get("obs/agent_pos")
    frame_ticks = view.arrays.get("frame_tick")
    ticks = view.arrays.get("streams/agent_pos/t")
    values = view.arrays.get("streams/agent_pos/value")
    if observed is None or frame_ticks is None or ticks is None or values is None:
        return []
    # arrays of wrong lengths are reported by `find_ragged`
    are_comparable = observed.shape[1:] == values.shape[1:]
    are_comparable = are_comparable and len(ticks) == len(values) > 0
    if not are_comparable or len(observed) != len(frame_ticks):
        return []

    # (F,) the stream's row at each frame's tick
    rows = np.clip(np.searchsorted(ticks, frame_ticks), 0, len(ticks) - 1)
    differences = np.abs(observed - values[rows]).max(axis=1)  # (F,)
    is_wrong = differences > context.limits.same_reading
    if not is_wrong.any():
        return []
    row = int(np.argmax(is_wrong))
    message = (
        f"{int(is_wrong.sum())} frames differ from streams/agent_pos at their tick, by "
        f"up to {np.nanmax(differences):.3g}{_shift_text(observed, values, rows)}"
    )
    start_s = seconds(frame_ticks[row])
    return [Finding("readings", "EXCLUDE", message, start_s)]


def find_state_times(view: View, context: Context) -> list[Finding]:
    """Finds physics states whose time differs from the time of their frame."""
    states = view.arrays.get("states")
    frame_ticks = view.arrays.get("frame_tick")
    # in a file from elsewhere, a state may begin with any number
    if view.source.header is None or states is None or frame_ticks is None:
        return []
    if states.ndim != 2 or len(states) != len(frame_ticks) or not len(states):
        return []

    # the first element of a state is its time; half a tick is left for rounding
    error_s = np.abs(states[:, 0] - frame_ticks / PHYSICS_HZ)
    is_wrong = error_s > 0.5 / PHYSICS_HZ
    if not is_wrong.any():
        return []
    row = int(np.argmax(is_wrong))
    message = (
        f"{int(is_wrong.sum())} states are of other times than their frames, by up to "
        f"{np.nanmax(error_s):.3f} s"
    )
    start_s = seconds(frame_ticks[row])
    return [Finding("state_times", "EXCLUDE", message, start_s)]


def _shift_text(observed: np.ndarray, values: np.ndarray, rows: np.ndarray) -> str:
    """Returns the end of a message: with which shift in time the frames fit the stream.

    The text is "" if frames and stream fit best without a shift.

    Args:
        observed: (F, P) the proprioception of the frames.
        values: (T, P) the proprioception of the stream.
        rows: (F,) the row of the stream at each frame's tick.
    """
    # the shift with the smallest median difference, over the frames within the stream
    best_shift = 0
    least_difference = np.inf
    for shift in range(-LARGEST_SHIFT, LARGEST_SHIFT + 1):
        shifted = rows + shift  # (F,) rows of the stream
        is_inside = (shifted >= 0) & (shifted < len(values))
        if not is_inside.any():
            continue
        # a frame's difference is the difference of its worst element
        differences = np.abs(observed[is_inside] - values[shifted[is_inside]])
        difference = float(np.median(differences.max(axis=1)))
        if difference < least_difference:
            least_difference = difference
            best_shift = shift

    if best_shift == 0:
        return ""
    direction = "later" if best_shift > 0 else "earlier"
    return f"; they fit best {abs(best_shift)} steps {direction}"


def row_time_s(view: View, path: str, row: int) -> float:
    """Returns the time of an array's row, in s since the episode's start.

    For a stream the time is taken from the stream's ticks; for other arrays from the
    frames' ticks; if the file has no ticks, from the frame rate.
    """
    stream = path.removesuffix("/value")
    ticks = view.arrays.get(f"{stream}/t", view.arrays.get("frame_tick"))
    if ticks is not None and row < len(ticks):
        return seconds(ticks[row])
    return row / view.source.frame_hz
