"""Checks of movements: rest, frozen readings, jumps, jerk, limits and delays."""

from __future__ import annotations

import numpy as np

from embodied.datasets.audit.context import Context
from embodied.datasets.audit.findings import Finding
from embodied.datasets.audit.metrics import (
    is_still,
    is_world_still,
    lag,
    longest_stretch,
    rate_of_change,
    roughness,
    stretches,
    sudden_steps,
)
from embodied.datasets.audit.view import View

# Arrays that hold all of the proprioception: if nothing in them changes while joints
# are driven, the sensors are dead.
WHOLE_STREAMS = ("streams/agent_pos/value", "obs/agent_pos")


def find_thin(view: View, context: Context) -> list[Finding]:
    """Finds episodes that are too short, or in which nothing moves."""
    limits = context.limits
    facts = context.facts
    duration_s = view.duration_s
    message = ""
    if duration_s < limits.shortest_s:
        message = f"it lasts {duration_s:.2f} s, less than {limits.shortest_s:g} s"
    elif facts.count >= limits.least_episodes:
        usual_s = facts.median_duration_s
        if duration_s < limits.shortest_share * usual_s:
            message = (
                f"it lasts {duration_s:.1f} s, the set's median is {usual_s:.1f} s"
            )

    positions = view.positions
    if not message and len(positions) > 1 and np.isfinite(positions).all():
        moved = float(np.abs(np.diff(positions, axis=0)).sum())
        if moved < limits.least_motion:
            message = f"all joints together move by {moved:.3f} rad and m"
    return [Finding("thin", "REVIEW", message)] if message else []


def find_long(view: View, context: Context) -> list[Finding]:
    """Finds episodes that last much longer than the others."""
    limits = context.limits
    facts = context.facts
    usual_s = facts.median_duration_s
    is_long = view.duration_s > limits.longest_times * usual_s
    if facts.count < limits.least_episodes or not is_long:
        return []
    message = f"it lasts {view.duration_s:.1f} s, the set's median is {usual_s:.1f} s"
    return [Finding("long", "REVIEW", message)]


def find_idle(view: View, context: Context) -> list[Finding]:
    """Finds long rests, and very long waits for something that moves."""
    limits = context.limits
    positions = view.positions
    if len(positions) < 2:
        return []

    still = is_still(positions, view.motion_hz)
    idle = still & _is_world_still(view, len(still))
    for marked, longest_s, share, doing in (
        (idle, limits.idle_s, limits.idle_share, "rests"),
        (still, limits.waiting_s, 1.0, "waits"),
    ):
        rest = longest_stretch(marked)
        if rest is None:
            continue
        rest_s = rest.rows / view.motion_hz
        in_all_s = float(marked.sum()) / view.motion_hz
        is_mostly = marked.mean() >= share and in_all_s >= longest_s
        if rest_s >= longest_s or is_mostly:
            message = (
                f"the robot {doing} for {rest_s:.1f} s at a time, and in "
                f"{marked.mean():.0%} of the episode"
            )
            start_s = rest.first / view.motion_hz
            return [Finding("idle", "REVIEW", message, start_s)]
    return []


def _is_world_still(view: View, rows: int) -> np.ndarray:
    """Returns (rows,) bool, whether nothing else moves; True where nothing tells."""
    states = view.arrays.get("states")
    if states is None or states.ndim != 2 or len(states) < 2 or states.shape[1] < 2:
        return np.ones(rows, bool)
    still = is_world_still(states, view.source.frame_hz)
    # states are at the frame rate, rows at `motion_hz`
    frames = np.arange(rows) * view.source.frame_hz / view.motion_hz
    return still[np.minimum(frames.astype(int), len(still) - 1)]


def find_frozen(view: View, context: Context) -> list[Finding]:
    """Finds proprioception that repeats bit for bit while the targets move on."""
    limits = context.limits
    sensed = view.arrays.get("streams/agent_pos/value")
    targets = view.targets
    if sensed is None or len(targets) != len(sensed) or len(sensed) < 2:
        return []

    same = (sensed[1:] == sensed[:-1]).all(axis=1)
    for rest in stretches(same):
        lasts_s = rest.rows / view.motion_hz
        # entry i compares rows i and i + 1, so the last row is `last + 1`
        moved = np.ptp(targets[rest.first : rest.last + 2], axis=0).max()
        if lasts_s >= limits.frozen_s and moved >= limits.frozen_motion:
            message = (
                f"the proprioception repeats for {lasts_s:.2f} s, while targets move by "
                f"{moved:.2f} rad or m"
            )
            start_s = rest.first / view.motion_hz
            return [Finding("frozen", "REVIEW", message, start_s)]
    return []


def find_dead(view: View, context: Context) -> list[Finding]:
    """Finds elements that never change here, and do in nearly all other episodes."""
    limits = context.limits
    facts = context.facts
    if facts.count < limits.least_episodes:
        return []

    findings = []
    for path, share in facts.moving_share.items():
        rows = view.arrays.get(path)
        if rows is None or rows.shape[1:] != share.shape or len(rows) < 2:
            continue
        still = (rows == rows[:1]).all(axis=0)
        # The share counts this episode, too, in which a still element does not move:
        # among the others alone it is larger.
        in_others = share * facts.count / (facts.count - 1)
        dead = np.flatnonzero(still & (in_others >= limits.dead_share)).tolist()
        if not dead:
            continue

        # all sensors are dead only if the robot was driven: one that rests is still, too
        is_whole = (
            path in WHOLE_STREAMS and bool(still.all()) and _is_driven(view, context)
        )
        more = " and more" if len(dead) > 6 else ""
        is_every = len(dead) == still.size
        what = "all of its elements" if is_every else f"its elements {dead[:6]}{more}"
        message = f"{path} is dead: {what} never change, but do in the other episodes"
        findings.append(Finding("dead", "EXCLUDE" if is_whole else "REVIEW", message))
    return findings


def _is_driven(view: View, context: Context) -> bool:
    """Returns whether the joints were told to move."""
    targets = view.targets
    if not targets.size:
        return False
    return bool(np.ptp(targets, axis=0).max() >= context.limits.frozen_motion)


def find_jumps(view: View, context: Context) -> list[Finding]:
    """Finds joints that are suddenly elsewhere: steps unlike those on either side."""
    limits = context.limits
    positions = view.positions  # (T, J) rad and m
    usual = context.facts.step  # (J,) the largest step of the median episode
    if len(positions) < 2 or usual.shape != positions.shape[1:]:
        return []

    if context.facts.count < limits.least_episodes:
        # too few for a median: nearly the largest step of this episode itself
        usual = np.nanpercentile(np.abs(np.diff(positions, axis=0)), 95, axis=0)
    excess = sudden_steps(positions)  # (T - 1, J) beyond the steps on either side
    least = limits.jump_least_per_s / view.motion_hz
    allowed = np.maximum(limits.jump_times * usual, least)
    with np.errstate(invalid="ignore"):  # readings that are NaN
        bad = excess > allowed
    if not bad.any():
        return []
    row, joint = np.argwhere(bad)[0].tolist()
    message = (
        f"joint {joint} jumps: it moves by {excess[row, joint]:.3f} rad or m more than in "
        f"the steps before and after; its steps usually reach {usual[joint]:.3f}"
    )
    return [Finding("jump", "REVIEW", message, row / view.motion_hz)]


def find_jerk(view: View, context: Context) -> list[Finding]:
    """Finds movements that shake."""
    # a gripper that snaps shut is no shaking arm
    positions = view.joints if view.joints.size else view.positions
    if len(positions) < 2 or not np.isfinite(positions).all():
        return []

    measured = roughness(positions, view.motion_hz)
    if measured < context.limits.roughness:
        return []
    message = (
        f"the movement shakes: speeds change by {measured:.2f} times their own size from "
        "step to step"
    )
    return [Finding("jerk", "REVIEW", message)]


def find_beyond_limits(view: View, context: Context) -> list[Finding]:
    """Finds joints beyond their range, and actions beyond [-1, 1]."""
    limits = context.limits
    interface = view.source.joint_interface
    if interface is None:
        # a file from elsewhere says neither the ranges nor the scale of its actions
        return []

    # the grippers are not in `view.joints`
    findings = []
    is_joint = np.ones(len(interface.labels), bool)
    is_joint[list(interface.gripper_elements)] = False
    low = interface.low[is_joint]
    high = interface.high[is_joint]
    joints = view.joints  # (T, J) rad and m; empty where the file does not tell
    if joints.size and joints.shape[1] == len(low):
        beyond = np.maximum(low - joints, joints - high)
        worst = float(np.nanmax(beyond, initial=-np.inf))
        if worst > limits.limit_margin:
            row, joint = np.unravel_index(np.nanargmax(beyond), beyond.shape)
            label = np.array(interface.labels)[is_joint][joint]
            message = f"{label} is {worst:.3f} rad or m beyond its range"
            start_s = int(row) / view.motion_hz
            findings.append(Finding("limits", "REVIEW", message, start_s))

    for path in ("actions", "streams/action/value"):
        rows = view.arrays.get(path, np.zeros(0))
        largest = float(np.nanmax(np.abs(rows), initial=0.0))
        if largest > 1 + limits.action_margin:
            message = f"{path} reach {largest:.3g}, beyond [-1, 1]"
            findings.append(Finding("limits", "EXCLUDE", message))
    return findings


def find_lag(view: View, context: Context) -> list[Finding]:
    """Finds joints that follow their targets too late, or precede them.

    How fast the joints move is compared with how fast their commands change.
    """
    limits = context.limits
    positions = view.positions  # (T, J)
    commands = view.targets  # (T, A)
    if not commands.size:
        commands = view.arrays.get("actions", commands)
    if not len(commands) or len(commands) != len(positions):
        return []

    if not (np.isfinite(positions).all() and np.isfinite(commands).all()):
        return []

    effect = rate_of_change(positions)
    causes = [rate_of_change(commands)]
    # actions of a file from elsewhere may be movements themselves
    if not view.targets.size:
        causes.append(np.abs(commands).mean(axis=1)[:-1])
    lags = [lag(cause, effect, view.motion_hz) for cause in causes]
    # the correlation at the best lag, and without a lag
    lag_s, alike, alike_at_once = max(lags, key=lambda found: found[1])

    # sure of a lag only if the signals are alike with it, and clearly less so without
    gain = alike - alike_at_once
    is_sure = alike >= limits.lag_correlation and gain >= limits.lag_gain
    if not is_sure or abs(lag_s) < limits.lag_s:
        return []
    order = "behind" if lag_s > 0 else "ahead of"
    message = f"the joints are {abs(lag_s):.2f} s {order} their commands"
    return [Finding("lag", "REVIEW", message)]
