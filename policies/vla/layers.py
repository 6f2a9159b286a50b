"""Layers and features of inputs that several networks share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from embodied.core import Layout

# A distance is encoded as tanh(distance / unit) per unit: large units for long distances
GOAL_OFFSET_UNITS_M = (0.3, 0.03)  # for the distance from an effector to its goal
# For the width of a gripper, to distinguish an empty grasp from a thin or a thick wall.
WIDTH_UNITS_M = (0.02, 0.004)
ROTATION_SIZE = 6  # two columns of the rotation matrix


class Scale(nn.Module):
    """Normalisation by mean and standard deviation, which are stored with the weights."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    def fit(self, values: Tensor, min_std: float) -> None:
        """Sets the mean and the standard deviation from samples.

        Args:
            values: (m, size) samples.
            min_std: the lower limit of the standard deviation.
        """
        self.mean.copy_(values.mean(dim=0))
        self.std.copy_(values.std(dim=0).clamp_min(min_std))

    def forward(self, values: Tensor) -> Tensor:  # (..., size) -> (..., size)
        return (values - self.mean) / self.std

    def inverse(self, values: Tensor) -> Tensor:  # (..., size) -> (..., size)
        return values * self.std + self.mean


class Proprioception(nn.Module):
    """Encodes proprioception: normalised, plus features of the grippers' widths.

    Attributes:
        size: the number of features.

    Args:
        layout: the parts of the proprioception.
        grippers: the names of the grippers in it.
    """

    def __init__(self, layout: Layout, grippers: Sequence[str]) -> None:
        super().__init__()
        slices = layout.slices()
        self._widths = [slices[f"{name}_width"] for name in grippers]
        self.size = layout.size + len(WIDTH_UNITS_M) * len(self._widths)

    def forward(self, agent_pos: Tensor, scale: Scale) -> Tensor:
        """Returns the features (n, size) of proprioception (n, P)."""
        features = [scale(agent_pos)]
        for width in self._widths:
            features += [
                torch.tanh(agent_pos[:, width] / unit) for unit in WIDTH_UNITS_M
            ]
        return torch.cat(features, dim=1)


class GoalOffsets:
    """Computes features of the way from each effector to its goal; it has no weights.

    Attributes:
        size: the number of features.

    Args:
        layout: the parts of the proprioception.
        effectors: the names of the effectors in it.
    """

    def __init__(self, layout: Layout, effectors: Sequence[str]) -> None:
        # the columns of the effectors' poses in the proprioception
        slices = layout.slices()
        self._positions = [slices[f"{name}_pos_w"] for name in effectors]
        self._rotations = [slices[f"{name}_rot6d"] for name in effectors]
        per_effector = 3 * len(GOAL_OFFSET_UNITS_M) + ROTATION_SIZE
        self.size = per_effector * len(effectors)

    def __call__(
        self, agent_pos: Tensor, goal_pos_w: Tensor, goal_rot6d: Tensor
    ) -> Tensor:
        """Returns the features (n, size).

        Args:
            agent_pos: (n, P) proprioception.
            goal_pos_w: (n, E, 3) m, the positions of the goals.
            goal_rot6d: (n, E, 6) the rotations of the goals.
        """
        position = torch.stack([agent_pos[:, part] for part in self._positions], dim=1)
        rot6d = torch.stack([agent_pos[:, part] for part in self._rotations], dim=1)

        offset_m = goal_pos_w - position  # (n, E, 3)
        offsets = [
            torch.tanh(offset_m / unit).flatten(1) for unit in GOAL_OFFSET_UNITS_M
        ]
        rotation_offset = (goal_rot6d - rot6d).flatten(1)
        return torch.cat([*offsets, rotation_offset], dim=1)


def as_channels(images: Tensor, light: Tensor | None) -> Tensor:
    """Returns images as (n * cameras, 6, H, W): the colours of earlier and newest images.

    Args:
        images: (n, cameras, 2, H, W, 3) uint8.
        light: (n, 2) factor and offset of pixels in [-1, 1]; None to change nothing.
    """
    n, cameras, _, height, width, _ = images.shape
    # the colours become channels, and their values numbers in [-1, 1]
    channels_first = images.permute(0, 1, 2, 5, 3, 4)  # (n, cameras, 2, 3, H, W)
    pixels = channels_first.reshape(n * cameras, 6, height, width).float() / 127.5 - 1
    if light is None:
        return pixels

    per_image = light.repeat_interleave(cameras, dim=0)[:, :, None, None, None]
    factor, offset = per_image.unbind(dim=1)
    return pixels * factor + offset
