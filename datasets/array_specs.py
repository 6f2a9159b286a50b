"""The arrays of an episode in a dataset file: names, types, shapes, units and meanings.

The letters in shapes are those of `embodied.datasets.schema`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ArraySpec:
    """The specification of an array of a demo."""

    name: str
    dtype: type[np.generic]
    shape: str  # the shape of one row
    meaning: str
    unit: str = "1"  # "1" for numbers without a unit

    @property
    def row_axes(self) -> list[str]:
        """The axes of one row, e.g. ["E", "3"] for the shape "(E, 3)"."""
        return re.findall(r"\w+", self.shape)


# Arrays with one row per frame, `record_hz` of them per second.
FRAMES = (
    ArraySpec(
        "obs/agent_pos",
        np.float32,
        "(P,)",
        "proprioception, in the parts that the metadata's agent_layout names",
        "rad, rad/s, m",
    ),
    ArraySpec(
        "obs/environment_state",
        np.float32,
        "(S,)",
        "privileged state, in the parts that the metadata's state_layout names",
        "m, m/s, rad, rad/s",
    ),
    ArraySpec("obs/<camera>_image", np.uint8, "(H, W, 3)", "RGB picture of a camera"),
    ArraySpec(
        "obs/<camera>_depth",
        np.uint16,
        "(H, W, 1)",
        "distance along the camera's axis, at most 65535; float32 where the attribute "
        "unit says m",
        "mm",
    ),
    ArraySpec(
        "obs/<camera>_segmentation",
        np.uint16,
        "(H, W, 1)",
        "the body that each pixel shows, an index into the metadata's segmentation_names",
    ),
    ArraySpec(
        "actions",
        np.float32,
        "(J,)",
        "the actions to learn: the intended joint targets at the end of the frame's "
        "period, scaled so that the limits of joint_interface are -1 and 1",
    ),
    ArraySpec(
        "rewards",
        np.float32,
        "()",
        "reward at the end of the frame's period, in [0, 1]",
    ),
    ArraySpec("dones", np.uint8, "()", "1 at the last frame, 0 before"),
    ArraySpec(
        "states",
        np.float64,
        "(D,)",
        "MuJoCo's time, positions and velocities at the frame",
        "s, m, rad, m/s, rad/s",
    ),
    ArraySpec("frame_tick", np.int64, "()", "time of the frame", "1/400 s"),
    ArraySpec(
        "image_tick",
        np.int64,
        "()",
        "time at which the frame's pictures were taken",
        "1/400 s",
    ),
)

# Streams have one row per control step. The rows of `STREAMS_BEFORE` and
# `STREAMS_OF_ACTORS` have the tick at which the step begins, the rows of `STREAMS_AFTER`
# the tick at which the step ends.
STREAMS_BEFORE = (
    ArraySpec(
        "action", np.float32, "(A,)", "the action as given to the worlds, in [-1, 1]"
    ),
    ArraySpec(
        "intended",
        np.float32,
        "(A,)",
        "the action that the policy wanted, before any disturbance; the expert's action "
        "where an expert corrects the policy",
    ),
    ArraySpec(
        "agent_pos",
        np.float32,
        "(P,)",
        "proprioception before the action",
        "rad, rad/s, m",
    ),
)
# Only in files in which several actors take turns.
STREAMS_OF_ACTORS = (
    ArraySpec(
        "intended_by",
        np.uint8,
        "()",
        "who intended streams/intended and actions, an index into core.ACTORS; only "
        "where several actors take turns",
    ),
    ArraySpec(
        "executed_by",
        np.uint8,
        "()",
        "who gave streams/action, an index into core.ACTORS; only where several actors "
        "take turns",
    ),
)

STREAMS_AFTER = (
    ArraySpec(
        "joint_target",
        np.float64,
        "(J,)",
        "the servo targets that followed from the action",
        "rad, m",
    ),
    ArraySpec("reward", np.float64, "()", "reward of the step, in [0, 1]"),
    ArraySpec("progress", np.float32, "()", "progress of the task, in [0, 1]"),
    ArraySpec("success", np.uint8, "()", "1 if the task has been done for 0.5 s"),
    ArraySpec("checksum", np.uint64, "()", "checksum of all positions and velocities"),
)
STREAMS = (*STREAMS_BEFORE, *STREAMS_AFTER)

# Arrays with one row per plan. Times are ticks; -1 stands for an event that never
# happened, such as the arrival of a plan that was dropped.
PLAN_TIMES = (
    ArraySpec("seq", np.int64, "()", "number of the plan in its episode, from 0"),
    ArraySpec(
        "tick_frame",
        np.int64,
        "()",
        "capture of the oldest picture that the plan is based on",
        "1/400 s",
    ),
    ArraySpec("tick_start", np.int64, "()", "the planner began to compute", "1/400 s"),
    ArraySpec(
        "tick_done", np.int64, "()", "the planner had computed the plan", "1/400 s"
    ),
    ArraySpec(
        "tick_arrived",
        np.int64,
        "()",
        "the controller could read the plan",
        "1/400 s",
    ),
)

# Goals are in the world frame, at the time `tick_frame`.
PLAN_PAYLOAD = (
    ArraySpec("subtask", np.int64, "()", "the subtask, an index into core.SKILLS"),
    ArraySpec(
        "goal_pos_w", np.floating, "(E, 3)", "goal position of each effector", "m"
    ),
    ArraySpec(
        "goal_quat_wxyz",
        np.floating,
        "(E, 4)",
        "goal rotation of each effector, a quaternion",
    ),
    ArraySpec(
        "goal_vel_w",
        np.floating,
        "(E, 3)",
        "velocity of the goal itself, such as that of a moving object",
        "m/s",
    ),
    ArraySpec(
        "gripper", np.floating, "(E,)", "goal of each gripper: -1 closed, 1 open"
    ),
    ArraySpec("completion", np.floating, "()", "the done share of the task, in [0, 1]"),
    ArraySpec(
        "base_goal_w",
        np.floating,
        "(B, 4)",
        "goal of each base: x, y, z and yaw",
        "m, rad",
    ),
)

# Arrays that only some planners give, or that only some episodes need.
PLAN_OPTIONAL = (
    ArraySpec(
        "latent",
        np.float32,
        "(L,)",
        "the latent vector between planner and controller of a learned policy",
    ),
    ArraySpec(
        "chunk",
        np.float32,
        "(H, A)",
        "an action chunk: row k is the action from k / chunk_hz after tick_frame on",
    ),
    ArraySpec("chunk_hz", np.float64, "()", "rows of the chunk per second", "1/s"),
    ArraySpec(
        "waypoint_s",
        np.float64,
        "(W,)",
        "times of the waypoints after tick_frame, ascending",
        "s",
    ),
    ArraySpec(
        "waypoint_pos_w",
        np.float64,
        "(W, E, 3)",
        "position of each effector at each waypoint",
        "m",
    ),
    ArraySpec(
        "waypoint_quat_wxyz",
        np.float64,
        "(W, E, 4)",
        "orientation of each effector at each waypoint, a quaternion",
    ),
    ArraySpec(
        "waypoint_gripper",
        np.float64,
        "(W, E)",
        "-1 closed, 1 open, from the waypoint on",
    ),
    ArraySpec(
        "sequence",
        np.float32,
        "(R, L)",
        "a latent sequence: row k applies from k / sequence_hz after tick_frame on",
    ),
    ArraySpec(
        "sequence_hz", np.float64, "()", "rows of the latent sequence per second", "1/s"
    ),
    ArraySpec(
        "text",
        np.uint8,
        "(T,)",
        "the subtask in words: UTF-8, filled up with zeros",
    ),
    ArraySpec(
        "fault",
        np.int64,
        "()",
        "why the plan was discarded, an index into plan.PLAN_FAULTS; missing if all "
        "plans of the episode are valid",
    ),
)

# Arrays with the start of an episode, which have no rows over time.
START = (
    ArraySpec(
        "start/state",
        np.float64,
        "(D,)",
        "MuJoCo's whole integration state, from which a replay begins",
        "as MuJoCo has it",
    ),
    ArraySpec(
        "start/fields/<name>",
        np.floating,
        "(...)",
        "a field of the model or a value of the task, as varied in this episode",
        "as MuJoCo has it",
    ),
)
