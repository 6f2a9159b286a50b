"""What the reference dual system is trained on: the expert's actions, and labels of the
latent.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from embodied.policies.training.batches import Batch
from embodied.policies.vla.network import DualSystemNet, Thought

GOAL_UNIT_M = 0.05  # a goal error of so much weighs as much as a wrong subtask
SPEED_UNIT_M_S = 0.05
ACTION_BETA = 0.05  # below it action errors are squared


@dataclass(frozen=True)
class Loss:
    """The parts of the loss, each a mean over the batch."""

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
        auxiliary = (
            self.rotation
            + self.speed
            + 0.5 * self.subtask
            + self.gripper
            + self.completion
        )
        return (
            4 * self.action + self.goal + 0.3 * auxiliary + 0.2 * self.gaze + self.base
        )


def joint_loss(net: DualSystemNet, batch: Batch) -> tuple[Loss, Thought]:
    """Returns the loss of planner and controller on a batch, and what the planner said.

    The controller's part reaches the planner through the latent.
    """
    thought = net.planner(
        batch.images, batch.tokens, batch.planner_agent_pos, batch.light
    )
    action = _action_loss(net, batch, thought.latent)

    huber = functional.smooth_l1_loss
    loss = Loss(
        action=action,
        goal=huber(
            thought.goal_pos_w / GOAL_UNIT_M, batch.goal_pos_w / GOAL_UNIT_M, beta=0.2
        ),
        rotation=huber(thought.goal_rot6d, batch.goal_rot6d, beta=0.1),
        speed=huber(
            thought.goal_vel_w / SPEED_UNIT_M_S,
            batch.goal_vel_w / SPEED_UNIT_M_S,
            beta=0.2,
        ),
        subtask=functional.cross_entropy(thought.subtask_logits, batch.subtask),
        gripper=huber(thought.gripper, batch.gripper, beta=0.2),
        completion=huber(thought.completion, batch.completion, beta=0.1),
        gaze=gaze_loss(thought.gaze, batch.goal_view),
        base=_base_loss(thought.base_goal_w, batch.base_goal_w),
    )
    return loss, thought


def _action_loss(net: DualSystemNet, batch: Batch, latent: Tensor) -> Tensor:
    """Compares what the controller does with plans of some ages to what the expert did."""
    ages = batch.age_s.shape[1]
    repeated = latent[:, None].expand(-1, ages, -1).flatten(0, 1)  # (n ages, L)
    predicted = net.controller(
        batch.agent_pos.flatten(0, 1), repeated, batch.age_s.flatten()
    )
    return functional.smooth_l1_loss(
        predicted, batch.action.flatten(0, 1), beta=ACTION_BETA
    )


def _base_loss(predicted: Tensor, wanted: Tensor) -> Tensor:
    """Returns how far the goals of bases (n, B, 4) are off; 0 where there are none."""
    if not wanted.shape[1]:
        return predicted.new_zeros(())
    return functional.smooth_l1_loss(
        predicted / GOAL_UNIT_M, wanted / GOAL_UNIT_M, beta=0.2
    )


def gaze_loss(gaze: Tensor, goal_view: Tensor) -> Tensor:
    """Returns the cross-entropy of the gaze and the goal's place in view.

    The place is spread over the four cells around it. As a label of the size of a
    picture it teaches where to look much faster than a position in space does.

    Args:
        gaze: (n, cameras, cells) log-probabilities over a square grid of cells.
        goal_view: (n, cameras, 2) row and column in [-1, 1]; nan out of view.
    """
    side = round(gaze.shape[2] ** 0.5)
    in_view = torch.isfinite(goal_view).all(dim=2)
    cell = (torch.nan_to_num(goal_view) + 1) / 2 * side - 0.5  # (n, cameras, 2)
    cell = cell.clamp(0, side - 1.001)
    low = cell.floor().long()
    part = cell - cell.floor()

    loss = torch.zeros_like(in_view, dtype=gaze.dtype)
    for row in (0, 1):
        for column in (0, 1):
            row_share = part[..., 0] if row else 1 - part[..., 0]
            column_share = part[..., 1] if column else 1 - part[..., 1]
            index = (low[..., 0] + row) * side + low[..., 1] + column
            here = gaze.gather(2, index[..., None])[..., 0]
            loss = loss - row_share * column_share * here
    return (loss * in_view).sum() / in_view.sum().clamp_min(1)
