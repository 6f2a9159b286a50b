"""The two networks of the reference dual system, and the latent between them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from embodied.core import SKILLS, Layout
from embodied.policies.vla.text import Vocabulary, WordBag
from embodied.policies.vla.vision import FilmConv

# the scales at which the controller sees how far it is from the goal
GOAL_OFFSET_M = (0.3, 0.03)
WIDTH_M = (0.02, 0.004)
ROTATION = 6


@dataclass(frozen=True)
class NetConfig:
    """Sizes of the networks and what they are fed, JSON-able."""

    words: tuple[str, ...]
    agent_parts: tuple[tuple[str, int], ...]
    cameras: tuple[str, ...]
    action_size: int
    image_size: int = 96
    # how far back the second picture lies, from which motion is seen
    history_s: float = 0.5
    text_width: int = 48
    hidden: int = 256
    free_latent: int = 16
    chunk: int = 10  # control steps predicted at once
    execute: int = 5  # control steps executed before the next chunk

    @property
    def agent_layout(self) -> Layout:
        return Layout(tuple((name, int(width)) for name, width in self.agent_parts))

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(tuple(self.words))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> NetConfig:
        tuples = {name: tuple(stored[name]) for name in ("words", "cameras")}
        parts = tuple((name, width) for name, width in stored["agent_parts"])
        return cls(**{**stored, **tuples, "agent_parts": parts})


@dataclass(frozen=True)
class Thought:
    """What the planner network says, n rows. `latent` is all that the controller
    network is given of it.
    """

    latent: Tensor  # (n, L)
    subtask_logits: Tensor  # (n, len(SKILLS))
    goal_pos_w: Tensor  # (n, 3) m
    goal_rot6d: Tensor  # (n, 6)
    goal_vel_w: Tensor  # (n, 3) m/s
    gripper: Tensor  # (n,) in [-1, 1]
    completion: Tensor  # (n,) in [0, 1]
    # (n, cameras, cells) log-probability of where in each picture the goal lies
    gaze: Tensor


class Scale(nn.Module):
    """Normalisation that travels with the weights."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    def fit(self, values: Tensor, floor: float) -> None:
        """Mean and deviation of `values` (m, size), the latter at least `floor`."""
        self.mean.copy_(values.mean(dim=0))
        self.std.copy_(values.std(dim=0).clamp_min(floor))

    def forward(self, values: Tensor) -> Tensor:
        return (values - self.mean) / self.std

    def inverse(self, values: Tensor) -> Tensor:
        return values * self.std + self.mean


def fine_width(width: Tensor) -> Tensor:
    """A gripper's width (n, 1) at two fine scales (n, 2): nothing, a thin wall and a
    thick one told apart.
    """
    return torch.cat([torch.tanh(width / scale) for scale in WIDTH_M], dim=1)


class PlannerNet(nn.Module):
    """System 2: pictures now and a while ago, instruction and proprioception to a
    latent.

    The latent is what its heads read off it, written out (goal, motion, gripper,
    subtask, completion), and some free numbers, so that gradients reach the planner
    both through the labels and through the controller's actions.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.text = WordBag(config.vocabulary, config.text_width)
        self.vision = FilmConv(6, config.text_width)
        self.agent_scale = Scale(config.agent_layout.size)
        self.goal_scale = Scale(3)
        self.speed_scale = Scale(3)
        self._width = config.agent_layout.slices()["gripper_width"]
        seen = (
            self.vision.size * len(config.cameras)
            + config.text_width
            + config.agent_layout.size
            + len(WIDTH_M)
        )
        self.trunk = nn.Sequential(
            nn.Linear(seen, config.hidden), nn.LayerNorm(config.hidden), nn.SiLU(),
            nn.Linear(config.hidden, config.hidden), nn.SiLU(),
        )  # fmt: skip
        self.sizes = (3, ROTATION, 3, 1, 1, len(SKILLS), config.free_latent)
        self.heads = nn.Linear(config.hidden, sum(self.sizes))
        self.latent_size = sum(self.sizes)

    def forward(
        self,
        images: Tensor,
        tokens: Tensor,
        agent_pos: Tensor,
        light: Tensor | None = None,
    ) -> Thought:
        """`images` (n, cameras, 2, H, W, 3) uint8, then and now; `tokens` (n, T);
        `agent_pos` (n, P).

        `light` (n, 2): factor and shift of the pixels in [-1, 1], to train with.
        """
        text = self.text(tokens)
        n, cameras, _, height, width, _ = images.shape
        flat = (
            images.permute(0, 1, 2, 5, 3, 4)
            .reshape(n * cameras, 6, height, width)
            .float()
            / 127.5
            - 1
        )
        if light is not None:
            gain, shift = light.repeat_interleave(cameras, dim=0)[
                :, :, None, None, None
            ].unbind(dim=1)
            flat = flat * gain + shift
        features, gaze = self.vision(flat, text.repeat_interleave(cameras, dim=0))
        seen = features.reshape(n, -1)
        felt = [self.agent_scale(agent_pos), fine_width(agent_pos[:, self._width])]
        hidden = self.trunk(torch.cat([seen, text, *felt], dim=1))
        goal, rotation, speed, gripper, completion, subtask, free = self.heads(
            hidden
        ).split(self.sizes, dim=1)
        parts = [
            goal,
            rotation,
            speed,
            gripper.tanh(),
            completion.sigmoid(),
            subtask.softmax(dim=1),
            free.tanh(),
        ]
        return Thought(
            latent=torch.cat(parts, dim=1),
            subtask_logits=subtask,
            goal_pos_w=self.goal_scale.inverse(goal),
            goal_rot6d=rotation,
            goal_vel_w=self.speed_scale.inverse(speed),
            gripper=gripper.tanh()[:, 0],
            completion=completion.sigmoid()[:, 0],
            gaze=gaze.reshape(n, cameras, -1),
        )


class ControllerNet(nn.Module):
    """System 1: live proprioception, the latent and its age to a chunk of actions.

    It is shown how far the hand is from the goal that the latent speaks of, moved on by
    the latent's own speed over its age, coarsely and finely: a servo is then easy to
    learn, and so is making up for delay.
    """

    def __init__(self, config: NetConfig, latent_size: int) -> None:
        super().__init__()
        self.agent_scale = Scale(config.agent_layout.size)
        self.goal_scale = Scale(3)
        self.speed_scale = Scale(3)
        slices = config.agent_layout.slices()
        self._pos = slices["tcp_pos_w"]
        self._rot = slices["tcp_rot6d"]
        self._shape = (config.chunk, config.action_size)
        self._width = slices["gripper_width"]
        inputs = (
            config.agent_layout.size
            + len(WIDTH_M)
            + latent_size
            + 3 * len(GOAL_OFFSET_M)
            + ROTATION
            + 2
        )
        self.layers = nn.Sequential(
            nn.Linear(inputs, config.hidden), nn.LayerNorm(config.hidden), nn.SiLU(),
            nn.Linear(config.hidden, config.hidden), nn.SiLU(),
            nn.Linear(config.hidden, config.hidden), nn.SiLU(),
            nn.Linear(config.hidden, config.chunk * config.action_size),
        )  # fmt: skip

    def forward(self, agent_pos: Tensor, latent: Tensor, age_s: Tensor) -> Tensor:
        """(n, P), (n, L), (n,) to (n, chunk, A)."""
        goal = self.goal_scale.inverse(latent[:, :3])
        speed = self.speed_scale.inverse(latent[:, 3 + ROTATION : 6 + ROTATION])
        offset = goal + speed * age_s[:, None] - agent_pos[:, self._pos]  # (n, 3) m
        offsets = [torch.tanh(offset / scale) for scale in GOAL_OFFSET_M]
        turn = latent[:, 3 : 3 + ROTATION] - agent_pos[:, self._rot]
        ages = torch.stack([age_s, torch.exp(-4 * age_s)], dim=1)
        felt = [self.agent_scale(agent_pos), fine_width(agent_pos[:, self._width])]
        inputs = [*felt, latent, *offsets, turn, ages]
        return self.layers(torch.cat(inputs, dim=1)).reshape(-1, *self._shape)


class DualSystemNet(nn.Module):
    """Both networks, saved and trained as one."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.planner = PlannerNet(config)
        self.controller = ControllerNet(config, self.planner.latent_size)

    def fit_scales(
        self, agent_pos: Tensor, goal_pos_w: Tensor, goal_vel_w: Tensor
    ) -> None:
        """Normalisation from training data, (m, P), (m, 3) and (m, 3)."""
        for part in (self.planner, self.controller):
            part.agent_scale.fit(agent_pos, 0.02)
            part.goal_scale.fit(goal_pos_w, 0.05)
            part.speed_scale.fit(goal_vel_w, 0.02)
