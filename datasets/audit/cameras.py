"""Checks of camera images: blank, frozen, swapped, duplicated or late."""

from __future__ import annotations

import itertools

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.datasets.audit.context import Context
from embodied.datasets.audit.findings import Finding, Verdict
from embodied.datasets.audit.metrics import lag, rate_of_change, stretches
from embodied.datasets.audit.view import Camera, View

# Two images show the same view if their mean difference, in grey levels, is smaller.
SAME_VIEW_LEVELS = 4.0
# The mean difference of images of different shapes, in grey levels: the largest possible.
LARGEST_DIFFERENCE = 255.0


def find_blank(view: View, context: Context) -> list[Finding]:
    """Finds cameras whose images are often of nearly one colour."""
    limits = context.limits
    findings = []
    for name, camera in view.cameras.items():
        is_blank = camera.spread < limits.blank_levels  # (F,)
        share = float(is_blank.mean()) if len(is_blank) else 0.0
        if share < limits.bad_pictures_share:
            continue
        verdict: Verdict = "EXCLUDE" if is_blank.all() else "REVIEW"
        message = f"camera {name} is blank in {share:.0%} of the frames"
        # `argmax` gives the first blank frame
        start_s = int(np.argmax(is_blank)) / view.source.frame_hz
        findings.append(Finding("blank_camera", verdict, message, start_s))
    return findings


def find_frozen_camera(view: View, context: Context) -> list[Finding]:
    """Finds cameras whose image repeats bit for bit while the robot moves."""
    limits = context.limits
    frame_positions = _positions_at_frames(view)
    findings = []
    for name, camera in view.cameras.items():
        if len(camera.digest) != len(frame_positions) or len(frame_positions) < 2:
            continue

        # (F - 1,) whether each frame has the same image as the frame before, although a
        # new image was captured. A camera slower than the frames repeats its old image,
        # which is no fault.
        frames = len(camera.digest)
        is_repeated = camera.digest[1:] == camera.digest[:-1]
        is_repeated &= _is_newly_captured(view, frames)
        for repeat in stretches(is_repeated):
            duration_s = repeat.rows / view.source.frame_hz
            # entry i compares frames i and i + 1, so the last frame is `last + 1`
            positions = frame_positions[repeat.first : repeat.last + 2]
            moved = np.ptp(positions, axis=0).max()
            if duration_s < limits.frozen_camera_s or moved < limits.frozen_motion:
                continue

            message = (
                f"camera {name} repeats one image for {duration_s:.1f} s, while joints "
                f"move by {moved:.2f} {view.source.unit}"
            )
            start_s = repeat.first / view.source.frame_hz
            is_whole_episode = repeat.rows == len(is_repeated)
            verdict: Verdict = "EXCLUDE" if is_whole_episode else "REVIEW"
            findings.append(Finding("frozen_camera", verdict, message, start_s))
            # one finding per camera is enough
            break
    return findings


def find_swapped(view: View, context: Context) -> list[Finding]:
    """Finds two cameras that show each other's view, or the same view."""
    limits = context.limits
    facts = context.facts
    own = facts.own_pictures.get(view.demo, {})  # camera -> this episode's mean image
    usual = facts.pictures  # camera -> the median of all episodes' mean images
    findings = []
    for first, second in itertools.combinations(sorted(view.cameras), 2):
        if _have_equal_images(view.cameras[first], view.cameras[second]):
            message = f"cameras {first} and {second} have the same images"
            findings.append(Finding("swapped_cameras", "EXCLUDE", message))
            continue

        # a few episodes do not show which view is usual
        if facts.count < limits.least_episodes:
            continue
        if first not in own or second not in own:
            continue
        if own[first].shape != own[second].shape:
            continue

        # compare this episode's images with the usual ones, with and without a swap
        unswapped = _difference(own[first], usual[first])
        unswapped += _difference(own[second], usual[second])
        swapped = _difference(own[first], usual[second])
        swapped += _difference(own[second], usual[first])
        # if both cameras show nearly the same view, a swap cannot be noticed
        are_distinct = _difference(usual[first], usual[second]) > SAME_VIEW_LEVELS
        if are_distinct and unswapped > limits.swapped_times * swapped:
            message = f"cameras {first} and {second} are swapped"
            findings.append(Finding("swapped_cameras", "REVIEW", message))
    return findings


def find_late_camera(view: View, context: Context) -> list[Finding]:
    """Finds cameras whose images change later or earlier than the joints move."""
    limits = context.limits
    frame_positions = _positions_at_frames(view)
    # with fewer frames no lag can be measured
    if len(frame_positions) < 4 or not np.isfinite(frame_positions).all():
        return []

    findings = []
    for name, camera in view.cameras.items():
        if len(camera.small) != len(frame_positions):
            continue
        cause = rate_of_change(frame_positions)
        effect = rate_of_change(camera.small)
        measured_lag = lag(cause, effect, view.source.frame_hz)
        # a lag is certain only if the correlation is high, and lower without the shift
        gain = measured_lag.correlation - measured_lag.correlation_at_0
        is_certain = measured_lag.correlation >= limits.lag_correlation
        is_certain = is_certain and gain >= limits.lag_gain
        if is_certain and abs(measured_lag.lag_s) >= limits.lag_s:
            order = "behind" if measured_lag.lag_s > 0 else "ahead of"
            message = (
                f"camera {name} is {abs(measured_lag.lag_s):.2f} s {order} the joints"
            )
            findings.append(Finding("late_camera", "REVIEW", message))
    return findings


def _have_equal_images(camera: Camera, other: Camera) -> bool:
    """Returns whether two cameras have equal images in every frame."""
    if len(camera.digest) != len(other.digest) or not len(camera.digest):
        return False
    return bool((camera.digest == other.digest).all())


def _difference(image: np.ndarray, other: np.ndarray) -> float:
    """Returns the mean absolute difference of two images, in grey levels.

    For images of different shapes the result is `LARGEST_DIFFERENCE`.
    """
    if image.shape != other.shape:
        return LARGEST_DIFFERENCE
    return float(np.abs(image - other).mean())


def _is_newly_captured(view: View, frames: int) -> np.ndarray:
    """Returns (F - 1,) bool, whether each frame's images are newer than the frame before's.

    If the file does not store when images were captured, all images count as new.

    Args:
        view: the episode.
        frames: the number of images F.
    """
    image_tick = view.arrays.get("image_tick")
    if image_tick is None or len(image_tick) != frames:
        return np.ones(frames - 1, bool)
    return np.diff(image_tick) > 0


def _positions_at_frames(view: View) -> np.ndarray:
    """Returns (F, J) the joint positions at the frames; (0, 0) if unknown."""
    positions = view.positions
    frame_ticks = view.arrays.get("frame_tick")
    # at equal rates, the positions have one row per frame already
    if frame_ticks is None or view.motion_hz == view.source.frame_hz:
        return positions
    if not len(positions):
        return positions
    # convert ticks of frames to rows of the positions
    rows = (frame_ticks * view.motion_hz / PHYSICS_HZ).round().astype(int)
    return positions[np.clip(rows, 0, len(positions) - 1)]
