"""Checks of motion: rest, frozen readings, jumps, shaking, joint limits and delays."""

from __future__ import annotations

import numpy as np

from embodied.datasets.audit.context import Context
from embodied.datasets.audit.findings import Finding, Verdict
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

# The arrays with the whole proprioception. If no element of them changes while the joints
# are driven, the sensors are dead.
WHOLE_PROPRIOCEPTION = ("streams/agent_pos/value", "obs/agent_pos")
# A message lists at most this many elements.
SHOWN_ELEMENTS = 6


def find_thin(view: View, context: Context) -> list[Finding]:
    """Finds episodes that are too short, or in which the robot hardly moves."""
    limits = context.limits
    facts = context.facts
    duration_s = view.duration_s
    message = ""
    if duration_s < limits.shortest_s:
        message = f"it lasts {duration_s:.2f} s, less than {limits.shortest_s:g} s"
    elif facts.count >= limits.least_episodes:
        # enough episodes to compare with
        usual_s = facts.median_duration_s
        if duration_s < limits.shortest_share * usual_s:
            message = (
                f"it lasts {duration_s:.1f} s, the set's median is {usual_s:.1f} s"
            )

    positions = view.positions
    if not message and len(positions) > 1 and np.isfinite(positions).all():
        moved = float(np.abs(np.diff(positions, axis=0)).sum())
        if moved < limits.least_motion:
            message = f"all joints together move by {moved:.3f} {view.source.unit}"
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
    """Finds long rests, and very long waits.

    The robot rests if nothing in the scene moves. It waits if the robot is still while
    something else moves, for example a belt that brings a parcel. Waits may take longer.
    """
    limits = context.limits
    positions = view.positions
    if len(positions) < 2:
        return []

    is_robot_still = is_still(positions, view.motion_hz)  # (T - 1,)
    is_all_still = is_robot_still & _is_scene_still(view, len(is_robot_still))
    rests = _find_pause(
        view,
        is_all_still,
        "rests",
        longest_s=limits.idle_s,
        share=limits.idle_share,
    )
    # with the share 1, a wait of `waiting_s` is found, or one through the whole episode
    return rests or _find_pause(
        view, is_robot_still, "waits", longest_s=limits.waiting_s, share=1.0
    )


def _find_pause(
    view: View, is_paused: np.ndarray, verb: str, longest_s: float, share: float
) -> list[Finding]:
    """Finds a pause that is too long, or too many pauses together.

    Args:
        view: the episode.
        is_paused: (T - 1,) bool, whether the robot pauses from each row to the next.
        verb: what the robot does in the pause, for the message.
        longest_s: the longest time that a single pause may last.
        share: the largest share of the episode that all pauses together may take. Pauses
            that are shorter than `longest_s` in total are never reported.
    """
    pause = longest_stretch(is_paused)
    if pause is None:
        return []

    # a single pause is too long, or all pauses together take too large a share
    pause_s = pause.rows / view.motion_hz
    total_s = float(is_paused.sum()) / view.motion_hz
    paused_share = is_paused.mean()
    is_too_often = paused_share >= share and total_s >= longest_s
    if pause_s < longest_s and not is_too_often:
        return []
    message = (
        f"the robot {verb} for {pause_s:.1f} s at a time, and in "
        f"{paused_share:.0%} of the episode"
    )
    start_s = pause.first / view.motion_hz
    return [Finding("idle", "REVIEW", message, start_s)]


def _is_scene_still(view: View, rows: int) -> np.ndarray:
    """Returns (rows,) bool, whether nothing in the scene moves after each row.

    If the file has no physics states, the scene counts as still.

    Args:
        view: the episode.
        rows: the number of rows, `1 / view.motion_hz` apart.
    """
    states = view.arrays.get("states")
    # the first column is the time, which always moves
    if states is None or states.ndim != 2 or len(states) < 2 or states.shape[1] < 2:
        return np.ones(rows, bool)

    # from each frame to the next, (frames - 1,)
    is_still_after = is_world_still(states, view.source.frame_hz)
    # the frame of each row
    frames = np.arange(rows) * view.source.frame_hz / view.motion_hz
    last = len(is_still_after) - 1
    return is_still_after[np.minimum(frames.astype(int), last)]


def find_frozen(view: View, context: Context) -> list[Finding]:
    """Finds proprioception that repeats bit for bit while the servo targets move."""
    limits = context.limits
    readings = view.arrays.get("streams/agent_pos/value")  # (T, P)
    targets = view.targets  # (T, J)
    if readings is None or len(targets) != len(readings) or len(readings) < 2:
        return []

    is_repeated = (readings[1:] == readings[:-1]).all(axis=1)
    for repeat in stretches(is_repeated):
        duration_s = repeat.rows / view.motion_hz
        # entry i compares rows i and i + 1, so the last row is `last + 1`
        moved = np.ptp(targets[repeat.first : repeat.last + 2], axis=0).max()
        if duration_s >= limits.frozen_s and moved >= limits.frozen_motion:
            message = (
                f"the proprioception repeats for {duration_s:.2f} s, while targets move "
                f"by {moved:.2f} rad or m"
            )
            start_s = repeat.first / view.motion_hz
            return [Finding("frozen", "REVIEW", message, start_s)]
    return []


def find_dead(view: View, context: Context) -> list[Finding]:
    """Finds elements that are constant here, but change in nearly all other episodes."""
    limits = context.limits
    facts = context.facts
    if facts.count < limits.least_episodes:
        return []

    findings = []
    for path, share in facts.moving_share.items():
        rows = view.arrays.get(path)
        if rows is None or rows.shape[1:] != share.shape or len(rows) < 2:
            continue
        is_constant = (rows == rows[:1]).all(axis=0)  # (K,)
        # `share` counts all episodes. An element that is constant here changes in other
        # episodes only, and the share of the other episodes is larger.
        share_of_others = share * facts.count / (facts.count - 1)
        is_dead = is_constant & (share_of_others >= limits.dead_share)
        dead = np.flatnonzero(is_dead).tolist()
        if not dead:
            continue

        elements = f"its elements {dead[:SHOWN_ELEMENTS]}"
        if len(dead) == is_constant.size:
            elements = "all of its elements"
        elif len(dead) > SHOWN_ELEMENTS:
            elements += " and more"
        message = (
            f"{path} is dead: {elements} never change, but do in the other episodes"
        )

        # An episode is useless if the whole proprioception is constant while the robot is
        # driven. A robot without commands may stand still, which is no fault.
        is_useless = path in WHOLE_PROPRIOCEPTION and bool(is_constant.all())
        is_useless = is_useless and _is_driven(view, context)
        verdict: Verdict = "EXCLUDE" if is_useless else "REVIEW"
        findings.append(Finding("dead", verdict, message))
    return findings


def _is_driven(view: View, context: Context) -> bool:
    """Returns whether the servo targets of the joints change noticeably."""
    targets = view.targets
    if not targets.size:
        return False
    return bool(np.ptp(targets, axis=0).max() >= context.limits.frozen_motion)


def find_jumps(view: View, context: Context) -> list[Finding]:
    """Finds joints that jump: by a step unlike the steps before and after it."""
    limits = context.limits
    positions = view.positions  # (T, J) rad and m
    # (J,) the median over episodes of each joint's largest step
    usual_step = context.facts.step
    if len(positions) < 2 or usual_step.shape != positions.shape[1:]:
        return []

    # With few episodes the median says little. Then the step that 95% of this episode's
    # steps do not exceed counts as usual, because the largest step may be the jump itself.
    if context.facts.count < limits.least_episodes:
        steps = np.abs(np.diff(positions, axis=0))
        usual_step = np.nanpercentile(steps, 95, axis=0)

    excess = sudden_steps(positions)  # (T - 1, J)
    least_excess = limits.jump_least_per_s / view.motion_hz
    largest_excess = np.maximum(limits.jump_times * usual_step, least_excess)
    with np.errstate(invalid="ignore"):  # readings may be NaN
        is_jump = excess > largest_excess
    if not is_jump.any():
        return []
    row, joint = np.argwhere(is_jump)[0].tolist()
    message = (
        f"joint {joint} jumps: it moves by {excess[row, joint]:.3f} {view.source.unit} "
        f"more than in the steps before and after; its steps usually reach {usual_step[joint]:.3f}"
    )
    start_s = row / view.motion_hz
    return [Finding("jump", "REVIEW", message, start_s)]


def find_jerk(view: View, context: Context) -> list[Finding]:
    """Finds shaking movements, whose speeds change a lot from step to step."""
    # the grippers are left out if possible, because they always move abruptly
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
    # a file from elsewhere stores neither joint ranges nor the scale of its actions
    if interface is None:
        return []

    # `view.joints` has no grippers, so the limits of grippers are left out, too
    findings = []
    is_joint = np.ones(len(interface.labels), bool)
    is_joint[list(interface.gripper_elements)] = False
    low = interface.low[is_joint]
    high = interface.high[is_joint]
    joints = view.joints  # (T, J) rad and m; empty if unknown
    if joints.size and joints.shape[1] == len(low):
        # (T, J) how far each joint is beyond its range; below 0 within the range
        excess = np.maximum(low - joints, joints - high)
        worst = float(np.nanmax(excess, initial=-np.inf))
        if worst > limits.limit_margin:
            row, joint = np.unravel_index(np.nanargmax(excess), excess.shape)
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
    """Finds joints that follow their commands too late, or precede them.

    The rate at which the joints move is correlated with the rate at which their commands
    change.
    """
    limits = context.limits
    positions = view.positions  # (T, J)
    commands = view.targets  # (T, A)
    has_targets = commands.size > 0
    if not has_targets:
        commands = view.arrays.get("actions", commands)
    if not len(commands) or len(commands) != len(positions):
        return []

    if not (np.isfinite(positions).all() and np.isfinite(commands).all()):
        return []

    effect = rate_of_change(positions)
    causes = [rate_of_change(commands)]
    # Actions of a file from elsewhere may be velocities or differences of positions. Then
    # the joints' motion is correlated with the actions' size, not with their change.
    if not has_targets:
        causes.append(np.abs(commands).mean(axis=1)[:-1])
    lags = [lag(cause, effect, view.motion_hz) for cause in causes]
    best = max(lags, key=lambda candidate: candidate.correlation)

    # a lag is certain only if the correlation is high, and lower without the shift
    gain = best.correlation - best.correlation_at_0
    is_certain = best.correlation >= limits.lag_correlation
    is_certain = is_certain and gain >= limits.lag_gain
    if not is_certain or abs(best.lag_s) < limits.lag_s:
        return []
    order = "behind" if best.lag_s > 0 else "ahead of"
    message = f"the joints are {abs(best.lag_s):.2f} s {order} their commands"
    return [Finding("lag", "REVIEW", message)]
