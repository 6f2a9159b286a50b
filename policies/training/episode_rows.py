"""The frames, control steps and labels that belong to the plans of an episode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.policies.training.episodes import TrainingEpisode
from embodied.rotations import quat_to_rot6d


def episode_rows(episode: TrainingEpisode, history_s: float) -> dict[str, np.ndarray]:
    """Returns the rows of one episode, by the names of the fields of `Samples`.

    Row numbers of frames and control steps count from the episode's start.

    Args:
        episode: the episode.
        history_s: time from the earlier image to the plan.
    """
    # find the frame and the control step at the time of each plan
    plans = episode.plans
    tick = plans["tick_frame"]
    pictures_tick = episode.picture_tick
    step_tick = episode.step_tick
    now = _last_at(pictures_tick, tick)
    step = np.searchsorted(step_tick, tick, side="right") - 1

    floats = {
        "goal_pos_w": plans["goal_pos_w"],
        "goal_rot6d": quat_to_rot6d(plans["goal_quat_wxyz"]),
        "goal_vel_w": plans["goal_vel_w"],
        "gripper": plans["gripper"],
        "completion": plans["completion"],
        "base_goal_w": plans["base_goal_w"],
    }
    return {
        "now": now,
        "then": _last_at(pictures_tick, tick - history_s * PHYSICS_HZ),
        "step": step,
        "frame_step": np.searchsorted(step_tick, pictures_tick[now], side="right") - 1,
        "last_step": np.full(len(step), len(step_tick) - 1),  # the same for each
        "subtask": plans["subtask"],
        **{name: values.astype(np.float32) for name, values in floats.items()},
    }


def _last_at(ticks: np.ndarray, tick: np.ndarray) -> np.ndarray:
    """Returns the index of the last entry of `ticks` at or before each `tick`.

    If there is none, it is 0.

    Args:
        ticks: (m,) in rising order.
        tick: (k,).
    """
    return np.maximum(np.searchsorted(ticks, tick, side="right") - 1, 0)


def goal_view(
    goal_pos_w: np.ndarray, poses: Sequence[dict[str, Any] | None]
) -> np.ndarray:
    """Projects goals into the images of some cameras.

    Args:
        goal_pos_w: (k, 3) m.
        poses: the poses of the cameras, from a dataset's metadata; None for a moving
            camera.

    Returns:
        (k, cameras, 2) float32, see `Samples.goal_view`; NaN for moving cameras.
    """
    view = np.full((len(goal_pos_w), len(poses), 2), np.nan, np.float32)
    for number, pose in enumerate(poses):
        if pose is None:
            continue

        # The columns of `mat_w` are the axes of the camera's frame: x points right, y
        # up, z backwards.
        camera_to_world = np.asarray(pose["mat_w"]).reshape(3, 3)
        local = (goal_pos_w - np.asarray(pose["pos_w"])) @ camera_to_world  # (k, 3)

        # half the height, in m, of the visible area at the goal's distance
        distance_m = -local[:, 2]
        half_height = distance_m * np.tan(np.deg2rad(pose["fovy_deg"]) / 2)
        # NaN for goals behind the camera
        half_height = np.where(half_height > 0, half_height, np.nan)

        # images are square, so half the width is the same
        down_and_right = np.stack([-local[:, 1], local[:, 0]], axis=1)
        row_column = down_and_right / half_height[:, None]
        in_view = (np.abs(row_column) < 1).all(axis=1, keepdims=True)
        view[:, number] = np.where(in_view, row_column, np.nan)
    return view
