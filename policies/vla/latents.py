"""Decodes plans from latents of the reference planner."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from embodied.plan import Payload
from embodied.policies.vla.layers import ROTATION_SIZE
from embodied.policies.vla.network import BASE_GOAL_SIZE, PlannerNet
from embodied.rotations import quat_from_rot6d


def payload_of_latents(net: PlannerNet, latent: np.ndarray) -> Payload:
    """Returns the plans that are encoded in latents.

    Args:
        net: the planner network that made the latents.
        latent: (n, L) float32, the latents.
    """
    shape = net.plan_shape
    per_effector = (len(latent), shape.effectors)
    parts = torch.split(torch.from_numpy(latent), list(net.sizes), dim=1)
    # the part left out is the one without labels, which only the controller understands
    goal, rotation, speed, gripper, completion, subtask, _, base = parts

    # latents hold normalised positions, velocities and goals of bases
    with torch.inference_mode():
        goal_pos_w = net.goal_scale.inverse(goal.reshape(*per_effector, 3))
        goal_vel_w = net.speed_scale.inverse(speed.reshape(*per_effector, 3))
        base_goal_w = base.reshape(len(latent), shape.bases, BASE_GOAL_SIZE)
        if shape.bases:
            base_goal_w = net.base_scale.inverse(base_goal_w)

    rot6d = _as_float64(rotation.reshape(*per_effector, ROTATION_SIZE))
    return Payload(
        subtask=subtask.argmax(dim=1).numpy(),
        goal_pos_w=_as_float64(goal_pos_w),
        goal_quat_wxyz=quat_from_rot6d(rot6d),
        goal_vel_w=_as_float64(goal_vel_w),
        gripper=np.clip(_as_float64(gripper), -1.0, 1.0),
        completion=np.clip(_as_float64(completion)[:, 0], 0.0, 1.0),
        latent=latent,
        base_goal_w=_as_float64(base_goal_w),
    )


def _as_float64(values: Tensor) -> np.ndarray:
    return values.numpy().astype(np.float64)
