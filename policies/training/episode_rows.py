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
        history_s: the time from the earlier image to the plan.
    """
    # find the frame and the control step at the time of each plan; ticks are physics steps
    plans = episode.plans
    plan_tick = plans["tick_frame"]  # (k,)
    picture_tick = episode.picture_tick  # (F,)
    step_tick = episode.step_tick  # (T,)
    newest_frame = _last_index(picture_tick, plan_tick)
    earlier_tick = plan_tick - history_s * PHYSICS_HZ
    step = np.searchsorted(step_tick, plan_tick, side="right") - 1

    # the control step at which the plan's image was captured
    newest_tick = picture_tick[newest_frame]
    frame_step = np.searchsorted(step_tick, newest_tick, side="right") - 1

    floats = {
        "goal_pos_w": plans["goal_pos_w"],
        "goal_rot6d": quat_to_rot6d(plans["goal_quat_wxyz"]),
        "goal_vel_w": plans["goal_vel_w"],
        "gripper": plans["gripper"],
        "completion": plans["completion"],
        "base_goal_w": plans["base_goal_w"],
    }
    return {
        "newest_frame": newest_frame,
        "earlier_frame": _last_index(picture_tick, earlier_tick),
        "step": step,
        "frame_step": frame_step,
        "last_step": np.full(len(step), len(step_tick) - 1),  # the same for each plan
        "subtask": plans["subtask"],
        **{name: values.astype(np.float32) for name, values in floats.items()},
    }


def _last_index(ticks: np.ndarray, wanted_tick: np.ndarray) -> np.ndarray:
    """Returns the index (k,) of the last entry of `ticks` at or before each wanted tick.

    The index is 0 if all entries are later, as at the beginning of an episode.

    Args:
        ticks: (m,) ticks in rising order.
        wanted_tick: (k,) the ticks to look up.
    """
    return np.maximum(np.searchsorted(ticks, wanted_tick, side="right") - 1, 0)


def goal_view(
    goal_pos_w: np.ndarray, poses: Sequence[dict[str, Any] | None]
) -> np.ndarray:
    """Projects goals into the images of some cameras.

    Args:
        goal_pos_w: (k, 3) m, the positions of the goals.
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
        offset_w = goal_pos_w - np.asarray(pose["pos_w"])
        in_camera = offset_w @ camera_to_world  # (k, 3) m, along the camera's axes

        # half the height of the visible area at the goal's distance
        distance_m = -in_camera[:, 2]
        half_height_m = distance_m * np.tan(np.deg2rad(pose["fovy_deg"]) / 2)
        # NaN for goals behind the camera
        half_height_m = np.where(half_height_m > 0, half_height_m, np.nan)

        # images are square, so half the width is the same
        down_and_right_m = np.stack([-in_camera[:, 1], in_camera[:, 0]], axis=1)
        row_column = down_and_right_m / half_height_m[:, None]
        in_view = (np.abs(row_column) < 1).all(axis=1, keepdims=True)
        view[:, number] = np.where(in_view, row_column, np.nan)
    return view
