"""The loss of a dual or a single system, from the errors of its actions and plans."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from embodied.policies.training.batches import Batch
from embodied.policies.training.distributed import ALONE, Ranks
from embodied.policies.vla.heads import ACTION_BETA, Draws
from embodied.policies.vla.network import DualSystemNet, PlannerOutput
from embodied.policies.vla.single import SingleSystemNet

# Errors in m and m/s are divided by these, so that their sizes are comparable.
GOAL_UNIT_M = 0.05
SPEED_UNIT_M_S = 0.05

# A smooth L1 loss is quadratic for errors below its beta, and linear above; actions have
# ACTION_BETA. Positions and
# speeds are in the units above, rotations in entries of a rotation matrix, others in [-1, 1].
GOAL_BETA = 0.2  # also for velocities, grippers and goals of bases
ROTATION_BETA = 0.1
COMPLETION_BETA = 0.1

# Weights of the parts of the loss; goals and base goals have weight 1.
ACTION_WEIGHT = 4
GAZE_WEIGHT = 0.2
AUXILIARY_WEIGHT = 0.3  # of rotation, speed, subtask, gripper and completion
SUBTASK_SHARE = 0.5  # a further factor of the subtask, besides AUXILIARY_WEIGHT


@dataclass(frozen=True)
class Loss:
    """The parts of the loss, each the mean over the batch as a scalar."""

    action: Tensor  # of the controller or the action head; all others are of plans
    goal: Tensor  # position of the effectors' goals
    rotation: Tensor
    speed: Tensor
    subtask: Tensor
    gripper: Tensor
    completion: Tensor
    gaze: Tensor  # see `gaze_loss`
    base: Tensor  # goals of bases; 0 for a robot without a base that moves

    def total(self) -> Tensor:
        """Returns the weighted sum, which training minimises."""
        # the parts of a plan other than its goal positions share one weight
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


def joint_loss(
    net: DualSystemNet, batch: Batch, ranks: Ranks = ALONE
) -> tuple[Loss, PlannerOutput]:
    """Returns the loss of planner and controller on a batch, and the planner's output.

    The action loss trains the planner, too, since its gradient passes through the latent.

    Args:
        net: the networks.
        batch: a batch of plans, on the device of the networks.
        ranks: the processes of which each has an equal part of a batch. The mean of their
            losses is the loss on the whole batch, and so it is with gradients.
    """
    output = net.planner(
        batch.images, batch.tokens, batch.planner_agent_pos, light=batch.light
    )
    action = _action_loss(net, batch, output.latent)
    return _loss(output, batch, action, ranks), output


def single_loss(
    net: SingleSystemNet, batch: Batch, ranks: Ranks = ALONE
) -> tuple[Loss, PlannerOutput]:
    """Returns the loss of a single system on a batch, and its plans without their chunks.

    The labels of plans and their weights are those of the dual system.

    Args:
        net: the network.
        batch: a batch of plans, on the device of the network.
        ranks: the processes that share a batch, see `joint_loss`.
    """
    # the head gets proprioception as it was, since its actions must be exact
    output, context = net(
        batch.images,
        batch.tokens,
        batch.agent_pos[:, 0],
        light=batch.light,
        noisy_agent_pos=batch.planner_agent_pos,
    )
    draws = Draws(batch.head_noise, batch.head_uniform)
    action = net.head.loss(context, batch.action[:, 0], draws)
    return _loss(output, batch, action, ranks), output


def _loss(output: PlannerOutput, batch: Batch, action: Tensor, ranks: Ranks) -> Loss:
    """Returns the parts of the loss.

    Args:
        output: the plans of a network.
        batch: the batch, which has the labels of these plans.
        action: the loss of the actions, a scalar.
        ranks: the processes that share a batch, see `joint_loss`.
    """
    # compare the planner's output with the labels, in units that make errors comparable
    smooth_l1 = functional.smooth_l1_loss
    return Loss(
        action=action,
        goal=smooth_l1(
            output.goal_pos_w / GOAL_UNIT_M,
            batch.goal_pos_w / GOAL_UNIT_M,
            beta=GOAL_BETA,
        ),
        rotation=smooth_l1(output.goal_rot6d, batch.goal_rot6d, beta=ROTATION_BETA),
        speed=smooth_l1(
            output.goal_vel_w / SPEED_UNIT_M_S,
            batch.goal_vel_w / SPEED_UNIT_M_S,
            beta=GOAL_BETA,
        ),
        subtask=functional.cross_entropy(output.subtask_logits, batch.subtask),
        gripper=smooth_l1(output.gripper, batch.gripper, beta=GOAL_BETA),
        completion=smooth_l1(output.completion, batch.completion, beta=COMPLETION_BETA),
        gaze=gaze_loss(output.gaze, batch.goal_view, ranks),
        base=_base_loss(output.base_goal_w, batch.base_goal_w),
    )


def _action_loss(net: DualSystemNet, batch: Batch, latent: Tensor) -> Tensor:
    """Returns the loss of the controller's actions, compared with the expert's.

    Args:
        net: the networks.
        batch: n plans, with several ages each.
        latent: (n, L) the latents of the plans, which the controller gets at each age.
    """
    # the ages of all plans are rows of one batch: (n * ages, ...)
    num_ages = batch.age_s.shape[1]
    latent_per_age = latent[:, None].expand(-1, num_ages, -1).flatten(0, 1)
    predicted = net.controller(
        batch.agent_pos.flatten(0, 1), latent_per_age, batch.age_s.flatten()
    )
    return functional.smooth_l1_loss(
        predicted, batch.action.flatten(0, 1), beta=ACTION_BETA
    )


def _base_loss(predicted: Tensor, wanted: Tensor) -> Tensor:
    """Returns the loss of the goals (n, B, 4) of bases; 0 if there are no bases."""
    if not wanted.shape[1]:
        return predicted.new_zeros(())  # the mean of an empty tensor would be NaN
    # x, y, z and yaw are weighted equally: an error of 0.05 rad counts like 0.05 m
    return functional.smooth_l1_loss(
        predicted / GOAL_UNIT_M, wanted / GOAL_UNIT_M, beta=GOAL_BETA
    )


def gaze_loss(gaze: Tensor, goal_view: Tensor, ranks: Ranks = ALONE) -> Tensor:
    """Returns the cross-entropy of the gaze with the goal's position in the image.

    The gaze is the attention of one attention head over the cells of an image. The goal's
    position is distributed over the four nearest cells, by bilinear weights. With this loss
    the planner learns where to look much faster than from goal positions alone.

    Args:
        gaze: (n, cameras, cells) log-probabilities over a square grid of cells.
        goal_view: (n, cameras, 2) row and column of the goal in the image, in [-1, 1]; NaN
            if the goal is not in view.
        ranks: the processes of which each has an equal part of a batch.
    """
    # the goal's row and column in cells, from the centre of the first cell
    side_cells = round(gaze.shape[2] ** 0.5)
    in_view = torch.isfinite(goal_view).all(dim=2)  # (n, cameras)
    cell = (torch.nan_to_num(goal_view) + 1) / 2 * side_cells - 0.5  # (n, cameras, 2)
    # slightly before the last cell, so that there is a next cell, with weight near 0
    cell = cell.clamp(0, side_cells - 1.001)
    first_cell = cell.floor().long()
    fraction = cell - cell.floor()

    # sum over the four nearest cells
    loss = torch.zeros_like(in_view, dtype=gaze.dtype)
    for row in (0, 1):
        for column in (0, 1):
            row_weight = fraction[..., 0] if row else 1 - fraction[..., 0]
            column_weight = fraction[..., 1] if column else 1 - fraction[..., 1]
            cell_row = first_cell[..., 0] + row
            cell_index = cell_row * side_cells + first_cell[..., 1] + column
            log_probability = gaze.gather(2, cell_index[..., None])[..., 0]
            loss = loss - row_weight * column_weight * log_probability
    # Mean over the images in which the goal is in view; 0 if there is no such image. Ranks
    # may have different numbers of them, so that a rank divides by their mean number.
    count = ranks.mean(in_view.sum())
    return (loss * in_view).sum() / count.clamp_min(1 / ranks.size)
