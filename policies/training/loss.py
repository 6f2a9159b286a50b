"""The loss of the reference dual system: errors of its actions and of its plans."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from embodied.policies.training.batches import Batch
from embodied.policies.vla.network import DualSystemNet, PlannerOutput

# Errors are divided by these units before they are compared.
GOAL_UNIT_M = 0.05
SPEED_UNIT_M_S = 0.05

# Smooth L1 losses square errors below beta, and are linear above it.
ACTION_BETA = 0.05
GOAL_BETA = 0.2  # also of speeds, grippers and goals of bases
ROTATION_BETA = 0.1
COMPLETION_BETA = 0.1

# Weights of the parts; those of goals and base goals are 1.
ACTION_WEIGHT = 4
GAZE_WEIGHT = 0.2
AUXILIARY_WEIGHT = 0.3  # of rotation, speed, subtask, gripper and completion
SUBTASK_SHARE = 0.5  # of the auxiliary weight


@dataclass(frozen=True)
class Loss:
    """The parts of the loss, each a scalar and a mean over the batch."""

    action: Tensor
    goal: Tensor
    rotation: Tensor
    speed: Tensor
    subtask: Tensor
    gripper: Tensor
    completion: Tensor
    gaze: Tensor
    base: Tensor  # 0 for a robot that stays where it is

    def total(self) -> Tensor:
        """Returns the weighted sum, which training minimises."""
        # what a plan holds besides its goals has one weight
        auxiliary = (
            self.rotation
            + self.speed
            + SUBTASK_SHARE * self.subtask
            + self.gripper
            + self.completion
        )

        return (
            ACTION_WEIGHT * self.action
            + self.goal
            + AUXILIARY_WEIGHT * auxiliary
            + GAZE_WEIGHT * self.gaze
            + self.base
        )


def joint_loss(net: DualSystemNet, batch: Batch) -> tuple[Loss, PlannerOutput]:
    """Returns the loss of planner and controller on a batch, and the planner's output.

    The gradient of the action loss reaches the planner through the latent.
    """
    output = net.planner(
        batch.images, batch.tokens, batch.planner_agent_pos, batch.light
    )
    action = _action_loss(net, batch, output.latent)

    huber = functional.smooth_l1_loss
    loss = Loss(
        action=action,
        goal=huber(
            output.goal_pos_w / GOAL_UNIT_M,
            batch.goal_pos_w / GOAL_UNIT_M,
            beta=GOAL_BETA,
        ),
        rotation=huber(output.goal_rot6d, batch.goal_rot6d, beta=ROTATION_BETA),
        speed=huber(
            output.goal_vel_w / SPEED_UNIT_M_S,
            batch.goal_vel_w / SPEED_UNIT_M_S,
            beta=GOAL_BETA,
        ),
        subtask=functional.cross_entropy(output.subtask_logits, batch.subtask),
        gripper=huber(output.gripper, batch.gripper, beta=GOAL_BETA),
        completion=huber(output.completion, batch.completion, beta=COMPLETION_BETA),
        gaze=gaze_loss(output.gaze, batch.goal_view),
        base=_base_loss(output.base_goal_w, batch.base_goal_w),
    )
    return loss, output


def _action_loss(net: DualSystemNet, batch: Batch, latent: Tensor) -> Tensor:
    """Returns how far the controller's actions are from the expert's.

    The controller follows each plan's latent (n, L) at each of the plan's ages.
    """
    num_ages = batch.age_s.shape[1]
    repeated = latent[:, None].expand(-1, num_ages, -1).flatten(0, 1)  # (n * ages, L)
    predicted = net.controller(
        batch.agent_pos.flatten(0, 1), repeated, batch.age_s.flatten()
    )
    return functional.smooth_l1_loss(
        predicted, batch.action.flatten(0, 1), beta=ACTION_BETA
    )


def _base_loss(predicted: Tensor, wanted: Tensor) -> Tensor:
    """Returns how far the goals of bases (n, B, 4) are off; 0 if there are no bases."""
    if not wanted.shape[1]:
        return predicted.new_zeros(())
    # Their yaw in rad counts like metres: 0.05 rad as much as 0.05 m.
    return functional.smooth_l1_loss(
        predicted / GOAL_UNIT_M, wanted / GOAL_UNIT_M, beta=GOAL_BETA
    )


def gaze_loss(gaze: Tensor, goal_view: Tensor) -> Tensor:
    """Returns the cross-entropy of the gaze and the goal's place in the picture.

    The place is spread over the four cells around it, by bilinear weights. This label
    teaches the planner where to look much faster than the goal's position does.

    Args:
        gaze: (n, cameras, cells) log-probabilities over a square grid of cells.
        goal_view: (n, cameras, 2) row and column in [-1, 1]; nan out of view.
    """
    # The place of the goal in cells, counted from the middle of the first one.
    side = round(gaze.shape[2] ** 0.5)
    in_view = torch.isfinite(goal_view).all(dim=2)  # (n, cameras)
    cell = (torch.nan_to_num(goal_view) + 1) / 2 * side - 0.5  # (n, cameras, 2)
    # Not quite the last cell, so that one comes after it: its weight is then near 0.
    cell = cell.clamp(0, side - 1.001)
    low = cell.floor().long()
    fraction = cell - cell.floor()

    # The four cells around it: each has the weight of its row times that of its column.
    loss = torch.zeros_like(in_view, dtype=gaze.dtype)
    for row in (0, 1):
        for column in (0, 1):
            row_weight = fraction[..., 0] if row else 1 - fraction[..., 0]
            column_weight = fraction[..., 1] if column else 1 - fraction[..., 1]
            index = (low[..., 0] + row) * side + low[..., 1] + column
            log_probability = gaze.gather(2, index[..., None])[..., 0]
            loss = loss - row_weight * column_weight * log_probability
    # The mean over the pictures in which the goal is.
    return (loss * in_view).sum() / in_view.sum().clamp_min(1)
