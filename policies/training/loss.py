"""The loss of the reference dual system, from the errors of its actions and plans."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from embodied.policies.training.batches import Batch
from embodied.policies.vla.network import DualSystemNet, PlannerOutput

# Errors in m and m/s are divided by these, so that their sizes are comparable.
GOAL_UNIT_M = 0.05
SPEED_UNIT_M_S = 0.05

# A smooth L1 loss is quadratic for errors below its beta, and linear above.
ACTION_BETA = 0.05
GOAL_BETA = 0.2  # also for velocities, grippers and goals of bases
ROTATION_BETA = 0.1
COMPLETION_BETA = 0.1

# Weights of the parts of the loss; goals and base goals have weight 1.
ACTION_WEIGHT = 4
GAZE_WEIGHT = 0.2
AUXILIARY_WEIGHT = 0.3  # of rotation, speed, subtask, gripper and completion
SUBTASK_SHARE = 0.5  # additional factor of the subtask within these


@dataclass(frozen=True)
class Loss:
    """The parts of the loss, each the mean over the batch as a scalar."""

    action: Tensor
    goal: Tensor
    rotation: Tensor
    speed: Tensor
    subtask: Tensor
    gripper: Tensor
    completion: Tensor
    gaze: Tensor
    base: Tensor  # 0 for a robot without a base that moves

    def total(self) -> Tensor:
        """Returns the weighted sum, which training minimises."""
        # the parts of a plan beside its goal positions share one weight
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

    The action loss trains the planner, too, since its gradient passes through the latent.
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
    """Returns the loss of the controller's actions, compared with the expert's.

    Args:
        net: the networks.
        batch: n plans, with several ages each.
        latent: (n, L) of the plans, which the controller gets at each age.
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
    """Returns the loss of the goals of bases, (n, B, 4); 0 if there are no bases."""
    if not wanted.shape[1]:
        return predicted.new_zeros(())
    # x, y, z and yaw are weighted equally: an error of 0.05 rad counts like 0.05 m
    return functional.smooth_l1_loss(
        predicted / GOAL_UNIT_M, wanted / GOAL_UNIT_M, beta=GOAL_BETA
    )


def gaze_loss(gaze: Tensor, goal_view: Tensor) -> Tensor:
    """Returns the cross-entropy of the gaze with the goal's position in the image.

    The position is distributed over the four nearest cells, by bilinear weights. With
    this loss the planner learns where to look much faster than from goal positions alone.

    Args:
        gaze: (n, cameras, cells) log-probabilities over a square grid of cells.
        goal_view: (n, cameras, 2) row and column in [-1, 1]; NaN if not in view.
    """
    # the goal's position in cells, from the centre of the first cell
    side = round(gaze.shape[2] ** 0.5)
    in_view = torch.isfinite(goal_view).all(dim=2)  # (n, cameras)
    cell = (torch.nan_to_num(goal_view) + 1) / 2 * side - 0.5  # (n, cameras, 2)
    # slightly before the last cell, so that there is a next cell, with weight near 0
    cell = cell.clamp(0, side - 1.001)
    low = cell.floor().long()
    fraction = cell - cell.floor()

    # sum over the four nearest cells
    loss = torch.zeros_like(in_view, dtype=gaze.dtype)
    for row in (0, 1):
        for column in (0, 1):
            row_weight = fraction[..., 0] if row else 1 - fraction[..., 0]
            column_weight = fraction[..., 1] if column else 1 - fraction[..., 1]
            index = (low[..., 0] + row) * side + low[..., 1] + column
            log_probability = gaze.gather(2, index[..., None])[..., 0]
            loss = loss - row_weight * column_weight * log_probability
    # mean over the images in which the goal is in view
    return (loss * in_view).sum() / in_view.sum().clamp_min(1)
