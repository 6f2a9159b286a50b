"""Checks of pictures: blank, frozen, swapped, doubled or late."""

from __future__ import annotations

import itertools

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.datasets.audit.context import Context
from embodied.datasets.audit.findings import Finding, Verdict
from embodied.datasets.audit.metrics import lag, rate_of_change, stretches
from embodied.datasets.audit.view import Camera, View

# Of two cameras, pictures nearer than this in the mean show the same, in grey levels.
SAME_VIEW_LEVELS = 4.0


def find_blank(view: View, context: Context) -> list[Finding]:
    """Finds pictures on which nothing is to be seen."""
    limits = context.limits
    findings = []
    for name, camera in view.cameras.items():
        blank = camera.spread < limits.blank_levels
        share = float(blank.mean()) if len(blank) else 0.0
        if share < limits.bad_pictures_share:
            continue
        verdict: Verdict = "EXCLUDE" if blank.all() else "REVIEW"
        message = f"camera {name} is blank in {share:.0%} of the frames"
        start_s = int(np.argmax(blank)) / view.source.frame_hz
        findings.append(Finding("blank_camera", verdict, message, start_s))
    return findings


def find_frozen_camera(view: View, context: Context) -> list[Finding]:
    """Finds pictures that repeat bit for bit while the robot moves."""
    limits = context.limits
    frame_positions = _positions_at_frames(view)
    findings = []
    for name, camera in view.cameras.items():
        if len(camera.digest) != len(frame_positions) or len(frame_positions) < 2:
            continue

        # (F - 1,) whether each frame has the same picture as the one before, although
        # `image_tick` claims a new one: slow cameras may repeat themselves
        same = (camera.digest[1:] == camera.digest[:-1]) & _is_new(view)
        for rest in stretches(same):
            lasts_s = rest.rows / view.source.frame_hz
            # entry i compares frames i and i + 1, so the last frame is `last + 1`
            moved = np.ptp(frame_positions[rest.first : rest.last + 2], axis=0).max()
            if lasts_s < limits.frozen_camera_s or moved < limits.frozen_motion:
                continue
            is_whole = rest.rows == len(same)
            message = (
                f"camera {name} repeats one picture for {lasts_s:.1f} s, while joints "
                f"move by {moved:.2f} rad or m"
            )
            start_s = rest.first / view.source.frame_hz
            verdict: Verdict = "EXCLUDE" if is_whole else "REVIEW"
            findings.append(Finding("frozen_camera", verdict, message, start_s))
            break
    return findings


def find_swapped(view: View, context: Context) -> list[Finding]:
    """Finds two cameras that show each other's view, or the same one."""
    limits = context.limits
    facts = context.facts
    own = facts.own_pictures.get(view.demo, {})
    findings = []
    for one, other in itertools.combinations(sorted(view.cameras), 2):
        if _is_double(view.cameras[one], view.cameras[other]):
            message = f"cameras {one} and {other} have the same pictures"
            findings.append(Finding("swapped_cameras", "EXCLUDE", message))
            continue

        is_known = one in own and other in own and facts.count >= limits.least_episodes
        if not is_known or own[one].shape != own[other].shape:
            continue
        # how far its mean pictures are from those of the set, by the names as they are,
        # and with the two names swapped
        straight = _apart(own[one], facts.pictures[one])
        straight += _apart(own[other], facts.pictures[other])
        crossed = _apart(own[one], facts.pictures[other])
        crossed += _apart(own[other], facts.pictures[one])
        differ = _apart(facts.pictures[one], facts.pictures[other])
        if differ > SAME_VIEW_LEVELS and straight > limits.swapped_times * crossed:
            message = f"cameras {one} and {other} are swapped"
            findings.append(Finding("swapped_cameras", "REVIEW", message))
    return findings


def find_late_camera(view: View, context: Context) -> list[Finding]:
    """Finds pictures that move at other times than the robot."""
    limits = context.limits
    frame_positions = _positions_at_frames(view)
    if len(frame_positions) < 4 or not np.isfinite(frame_positions).all():
        return []

    findings = []
    for name, camera in view.cameras.items():
        if len(camera.small) != len(frame_positions):
            continue
        cause = rate_of_change(frame_positions)
        effect = rate_of_change(camera.small)
        lag_s, alike, unlagged = lag(cause, effect, view.source.frame_hz)
        is_sure = alike >= limits.lag_correlation
        is_sure &= alike - unlagged >= limits.lag_gain
        if is_sure and abs(lag_s) >= limits.lag_s:
            order = "behind" if lag_s > 0 else "ahead of"
            message = f"camera {name} is {abs(lag_s):.2f} s {order} the joints"
            findings.append(Finding("late_camera", "REVIEW", message))
    return findings


def _is_double(one: Camera, other: Camera) -> bool:
    """Returns whether two cameras have equal pictures in every frame."""
    if len(one.digest) != len(other.digest) or not len(one.digest):
        return False
    return bool((one.digest == other.digest).all())


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the mean difference of two pictures, in grey levels.

    Pictures of different shapes are as far apart as can be, 255.
    """
    if one.shape != other.shape:
        return 255.0
    return float(np.abs(one - other).mean())


def _is_new(view: View) -> np.ndarray | bool:
    """Returns (F - 1,) bool, whether a frame's pictures are newer than the last one's.

    True stands for all of them, where nothing tells.
    """
    taken = view.arrays.get("image_tick")
    if taken is None or len(taken) != view.num_frames:
        return True
    return np.diff(taken) > 0


def _positions_at_frames(view: View) -> np.ndarray:
    """Returns (F, J) the positions at the frames; (0, 0) if unknown."""
    positions = view.positions
    frames = view.arrays.get("frame_tick")
    if frames is None or view.motion_hz == view.source.frame_hz:
        return positions
    if not len(positions):
        return positions
    # frames (F,) are in ticks, rows of the positions at `motion_hz`
    rows = (frames * view.motion_hz / PHYSICS_HZ).round().astype(int)
    return positions[np.clip(rows, 0, len(positions) - 1)]
