"""Checks of form: whether numbers are whole, in time, and of one length."""

from __future__ import annotations

from collections import Counter

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.datasets.audit.context import Context
from embodied.datasets.audit.findings import Finding
from embodied.datasets.audit.view import View, seconds

# What a robomimic file holds once per frame.
FRAME_ARRAYS = ("actions", "rewards", "dones", "states", "frame_tick", "image_tick")


def find_fault(view: View, context: Context) -> list[Finding]:
    """Finds attributes that cannot be read, and worlds that broke."""
    if view.damage:
        return [Finding("fault", "EXCLUDE", view.damage)]
    if view.meta is not None and view.meta.fault:
        message = f"the world broke: {view.meta.fault}"
        return [Finding("fault", "EXCLUDE", message)]
    return []


def find_not_finite(view: View, context: Context) -> list[Finding]:
    """Finds values that are no finite number."""
    findings = []
    for path, rows in view.arrays.items():
        # whole numbers are finite
        if not np.issubdtype(rows.dtype, np.floating) or np.isfinite(rows).all():
            continue

        # a single number counts as a row
        flat = rows.reshape(len(rows), -1) if rows.ndim else rows.reshape(1, 1)
        bad = ~np.isfinite(flat).all(axis=1)
        first = int(np.argmax(bad))

        message = (
            f"{path} has {int(bad.sum())} rows that are not finite, from row {first} on"
        )
        findings.append(
            Finding("not_finite", "EXCLUDE", message, time_of(view, path, first))
        )
    return findings


def find_ragged(view: View, context: Context) -> list[Finding]:
    """Finds arrays of different lengths that belong together."""
    frames = view.num_frames
    if not frames:
        return [Finding("ragged", "EXCLUDE", "there are no actions")]

    # once per frame
    lengths = {f"camera {name}": len(c.digest) for name, c in view.cameras.items()}
    for path, rows in view.arrays.items():
        if path in FRAME_ARRAYS or path.startswith("obs/"):
            lengths[path] = len(rows) if rows.ndim else 0
    wrong = {path: rows for path, rows in lengths.items() if rows != frames}
    if view.meta is not None and view.meta.num_samples != frames:
        wrong["num_samples"] = view.meta.num_samples

    # Once per control step: how many steps there are is not stored, so the length that
    # most streams have is taken to be right.
    steps = {
        path: len(rows)
        for path, rows in view.arrays.items()
        if path.startswith("streams/") and rows.ndim
    }
    commonest = Counter(steps.values()).most_common(1)  # [(length, how many)], or []
    wrong |= {path: rows for path, rows in steps.items() if rows != commonest[0][0]}
    if not wrong:
        return []
    listed = ", ".join(f"{path} has {rows}" for path, rows in sorted(wrong.items())[:4])
    message = f"for {frames} actions, {listed} rows"
    return [Finding("ragged", "EXCLUDE", message)]


def find_bad_times(view: View, context: Context) -> list[Finding]:
    """Finds clocks that stand, run back or leave something out."""
    step = PHYSICS_HZ / view.source.control_hz
    findings = []
    for path, ticks in view.arrays.items():
        is_stream = path.startswith("streams/") and path.endswith("/t")
        if not is_stream and path != "frame_tick":
            continue
        if len(ticks) < 2:
            continue

        # In ticks: streams have a row at each step, exactly. Frame k is at a whole tick
        # near k / rate, so gaps between frames may be a tick off.
        wanted = step
        slack = 0.0
        if not is_stream:
            wanted = PHYSICS_HZ / view.source.frame_hz
            slack = 1.0
        gaps = np.diff(ticks)
        bad = np.abs(gaps - wanted) > slack
        if bad.any():
            row = int(np.argmax(bad))
            message = (
                f"{path} goes on by {gaps[row]} ticks at row {row}, where {wanted:g} "
                "are due"
            )
            findings.append(Finding("times", "EXCLUDE", message, seconds(ticks[row])))
    return findings


def find_old_pictures(view: View, context: Context) -> list[Finding]:
    """Finds pictures that are much older, or newer, than the frame they belong to."""
    frames = view.arrays.get("frame_tick")
    pictures = view.arrays.get("image_tick")
    if frames is None or pictures is None or len(frames) != len(pictures):
        return []

    # A camera slower than the frames gives several of them the same picture, so the age
    # is measured in periods of the slower of the two.
    camera_hz = view.source.frame_hz
    if view.source.header is not None:
        config = view.source.header.metadata.get("config", {})
        camera_hz = min(camera_hz, config.get("camera_hz") or camera_hz)
    allowed = context.limits.picture_age_frames * PHYSICS_HZ / camera_hz
    age = frames - pictures
    bad = (age < 0) | (age > allowed)
    if not bad.any():
        return []
    row = int(np.argmax(bad))
    message = (
        f"{int(bad.sum())} pictures are not of their frame's time, up to "
        f"{seconds(np.abs(age).max()):.2f} s off"
    )
    return [Finding("old_pictures", "REVIEW", message, seconds(frames[row]))]


def find_different_readings(view: View, context: Context) -> list[Finding]:
    """Finds frames that do not show what their stream read at the same tick."""
    observed = view.arrays.get("obs/agent_pos")
    frames = view.arrays.get("frame_tick")
    ticks = view.arrays.get("streams/agent_pos/t")
    values = view.arrays.get("streams/agent_pos/value")
    if observed is None or frames is None or ticks is None or values is None:
        return []
    fits = observed.shape[1:] == values.shape[1:] and len(ticks) == len(values)
    if not fits or len(observed) != len(frames) or not len(ticks):
        return []

    rows = np.clip(np.searchsorted(ticks, frames), 0, len(ticks) - 1)
    apart = np.abs(observed - values[rows]).max(axis=1)
    bad = apart > context.limits.same_reading
    if not bad.any():
        return []
    row = int(np.argmax(bad))
    message = (
        f"{int(bad.sum())} frames differ from what streams/agent_pos read at their "
        f"tick, by up to {np.nanmax(apart):.3g}{_shift_of(observed, values, rows)}"
    )
    return [Finding("readings", "EXCLUDE", message, seconds(frames[row]))]


def find_state_times(view: View, context: Context) -> list[Finding]:
    """Finds physics states whose own clock is not that of their frame."""
    states = view.arrays.get("states")
    frames = view.arrays.get("frame_tick")
    if view.source.header is None or states is None or frames is None:
        return []
    if states.ndim != 2 or len(states) != len(frames) or not len(frames):
        return []

    # the first number of a state is its time; half a tick leaves room for rounding
    off_s = np.abs(states[:, 0] - frames / PHYSICS_HZ)
    bad = off_s > 0.5 / PHYSICS_HZ
    if not bad.any():
        return []
    row = int(np.argmax(bad))
    message = (
        f"{int(bad.sum())} states are of other times than their frames, by up to "
        f"{np.nanmax(off_s):.3f} s"
    )
    return [Finding("state_times", "EXCLUDE", message, seconds(frames[row]))]


def _shift_of(observed: np.ndarray, values: np.ndarray, rows: np.ndarray) -> str:
    """Returns by how many steps frames must be shifted to fit, in words.

    Up to 100 steps either way are tried; "" if no shift is better than none.

    Args:
        observed: (F, P) what the frames show.
        values: (T, P) what the stream read at each step.
        rows: (F,) the step of each frame, by its tick.
    """
    best_shift = 0
    best = np.inf
    for shift in range(-100, 101):
        shifted = np.clip(rows + shift, 0, len(values) - 1)
        inner = (rows + shift >= 0) & (rows + shift < len(values))
        if not inner.any():
            continue
        apart = float(np.median(np.abs(observed - values[shifted]).max(axis=1)[inner]))
        if apart < best:
            best = apart
            best_shift = shift
    if best_shift == 0:
        return ""
    return f"; they fit best {abs(best_shift)} steps {'later' if best_shift > 0 else 'earlier'}"


def time_of(view: View, path: str, row: int) -> float:
    """Returns when a row of an array was, in s since the episode's start.

    It goes by the stream's own ticks, else those of the frames, else the frame rate.
    """
    stem = path.removesuffix("/value")
    ticks = view.arrays.get(f"{stem}/t", view.arrays.get("frame_tick"))
    if ticks is not None and row < len(ticks):
        return seconds(ticks[row])
    return row / view.source.frame_hz
