"""The two networks of the reference dual system, and the latent between them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from embodied.core import SKILLS, Layout, PlanShape
from embodied.policies.vla.text import Vocabulary, WordBag
from embodied.policies.vla.vision import FilmConv

# Distances are shown to the networks as tanh(distance / unit), once per unit: a large one
# shows long distances, a small one resolves short ones.
GOAL_OFFSET_UNITS_M = (0.3, 0.03)  # from an effector to its goal
# Of a gripper: tells an empty grasp, a thin wall and a thick one apart.
WIDTH_UNITS_M = (0.02, 0.004)
AGE_DECAY_PER_S = 4.0  # of the second feature of a plan's age

# How many numbers a rotation has (two columns of its matrix), and a base's goal (x, y, z
# and yaw).
ROTATION_SIZE = 6
BASE_GOAL_SIZE = 4

# The least standard deviations by which values are normalised.
MIN_AGENT_STD = 0.02
MIN_GOAL_STD_M = 0.05
MIN_SPEED_STD_M_S = 0.02
MIN_BASE_STD = 0.05  # m and rad


@dataclass(frozen=True)
class NetConfig:
    """Sizes of the networks and of what they are fed, as JSON values.

    Attributes:
        words: the vocabulary.
        agent_parts: names and widths of the parts of the proprioception.
        cameras: whose images the planner sees.
        action_size: A.
        image_size: height and width of an image, pixels.
        history_s: how old the earlier image is, which shows motion beside the newest.
        text_width: size of the encoded instruction.
        hidden: width of the hidden layers.
        free_latent: how many numbers of the latent have no label.
        chunk: control steps that are predicted at once.
        execute: control steps that are executed before the next chunk is predicted.
        bases: B, those that travel and are given goals.
    """

    words: tuple[str, ...]
    agent_parts: tuple[tuple[str, int], ...]
    cameras: tuple[str, ...]
    action_size: int
    image_size: int = 96
    history_s: float = 0.5
    text_width: int = 48
    hidden: int = 256
    free_latent: int = 16
    chunk: int = 10
    execute: int = 5
    bases: int = 0

    @property
    def agent_layout(self) -> Layout:
        return Layout(tuple((name, int(width)) for name, width in self.agent_parts))

    @property
    def effectors(self) -> tuple[str, ...]:
        """Names of the effectors that proprioception shows."""
        return self._names_ending_in("_rot6d")

    @property
    def grippers(self) -> tuple[str, ...]:
        """Names of the grippers that proprioception shows."""
        return self._names_ending_in("_width")

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(tuple(self.words))

    def _names_ending_in(self, suffix: str) -> tuple[str, ...]:
        names = [name for name, _ in self.agent_parts]
        return tuple(
            name.removesuffix(suffix) for name in names if name.endswith(suffix)
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> NetConfig:
        # JSON has lists in place of tuples.
        tuples = {name: tuple(stored[name]) for name in ("words", "cameras")}
        parts = tuple((name, width) for name, width in stored["agent_parts"])
        return cls(**{**stored, **tuples, "agent_parts": parts})


@dataclass(frozen=True)
class PlannerOutput:
    """Plans of the planner network, n rows, for E effectors and B bases.

    The controller network gets nothing of it but `latent`.
    """

    latent: Tensor  # (n, L)
    subtask_logits: Tensor  # (n, len(SKILLS))
    goal_pos_w: Tensor  # (n, E, 3) m
    goal_rot6d: Tensor  # (n, E, 6)
    goal_vel_w: Tensor  # (n, E, 3) m/s
    gripper: Tensor  # (n, E) in [-1, 1]
    completion: Tensor  # (n,) in [0, 1]
    base_goal_w: Tensor  # (n, B, 4) m and rad
    # (n, cameras, cells) log-probabilities of the image cell in which the goal of the
    # first effector is
    gaze: Tensor


class Scale(nn.Module):
    """Normalisation by mean and deviation, which are stored with the weights."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    def fit(self, values: Tensor, floor: float) -> None:
        """Sets mean and deviation to those of samples.

        Args:
            values: (m, size) samples.
            floor: the least standard deviation.
        """
        self.mean.copy_(values.mean(dim=0))
        self.std.copy_(values.std(dim=0).clamp_min(floor))

    def forward(self, values: Tensor) -> Tensor:  # (..., size) -> (..., size)
        return (values - self.mean) / self.std

    def inverse(self, values: Tensor) -> Tensor:  # (..., size) -> (..., size)
        return values * self.std + self.mean


class Proprioception(nn.Module):
    """Proprioception as both networks see it: normalised, with widths in detail."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        slices = config.agent_layout.slices()
        self._widths = [slices[f"{name}_width"] for name in config.grippers]
        self.size = config.agent_layout.size + len(WIDTH_UNITS_M) * len(self._widths)

    def forward(self, agent_pos: Tensor, scale: Scale) -> Tensor:
        """Returns (n, size) for proprioception (n, P)."""
        features = [scale(agent_pos)]
        for width in self._widths:
            features += [
                torch.tanh(agent_pos[:, width] / unit) for unit in WIDTH_UNITS_M
            ]
        return torch.cat(features, dim=1)


class PlannerNet(nn.Module):
    """System 2: from images, instruction and proprioception to plans.

    It sees the newest images and those of a while ago. The latent holds all that plans
    say in words (goals, speeds, grippers, completion, subtask) and some free numbers.
    So gradients reach the planner both through the labels of plans and through the
    actions of the controller, which sees the latent.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self._effectors = len(config.effectors)
        self._bases = config.bases

        # What it sees.
        self.text = WordBag(config.vocabulary, config.text_width)
        self.vision = FilmConv(6, config.text_width)  # colours of two images
        self.agent_scale = Scale(config.agent_layout.size)
        self.goal_scale = Scale(3)
        self.speed_scale = Scale(3)
        if self._bases:
            self.base_scale = Scale(BASE_GOAL_SIZE)
        self.proprioception = Proprioception(config)
        images = self.vision.size * len(config.cameras)
        inputs = images + config.text_width + self.proprioception.size

        # What it says, as one vector: the latent. `sizes` are those of its parts.
        self.trunk = nn.Sequential(
            nn.Linear(inputs, config.hidden),
            nn.LayerNorm(config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.SiLU(),
        )
        self.sizes = (
            3 * self._effectors,  # goal positions
            ROTATION_SIZE * self._effectors,  # goal rotations
            3 * self._effectors,  # velocities of the goals
            self._effectors,  # grippers
            1,  # completion
            len(SKILLS),  # subtask
            config.free_latent,  # numbers without a label
            BASE_GOAL_SIZE * self._bases,  # goals of bases
        )
        self.heads = nn.Linear(config.hidden, sum(self.sizes))

    @property
    def plan_shape(self) -> PlanShape:
        return PlanShape(self._effectors, self._bases, latent=sum(self.sizes))

    def forward(
        self,
        images: Tensor,
        tokens: Tensor,
        agent_pos: Tensor,
        light: Tensor | None = None,
    ) -> PlannerOutput:
        """Returns n plans.

        Args:
            images: (n, cameras, 2, H, W, 3) uint8, a while ago and now.
            tokens: (n, T) words of the instruction.
            agent_pos: (n, P) proprioception.
            light: (n, 2) factor and shift of the pixels in [-1, 1], to train with.
        """
        # What it sees. The instruction tells the vision what to look for.
        n, cameras = images.shape[:2]
        text = self.text(tokens)
        pixels = _as_channels(images, light)
        features, gaze = self.vision(pixels, text.repeat_interleave(cameras, dim=0))
        body = self.proprioception(agent_pos, self.agent_scale)
        hidden = self.trunk(torch.cat([features.reshape(n, -1), text, body], dim=1))

        # What it says. The latent is all of it, with bounded parts within their bounds.
        # Goals, speeds and bases in it are normalised; plans hold them in m and m/s.
        # The order is that of `sizes`.
        outputs = self.heads(hidden).split(self.sizes, dim=1)
        goal, rotation, speed, gripper, completion, subtask, free, base = outputs
        latent = [
            goal,
            rotation,
            speed,
            gripper.tanh(),
            completion.sigmoid(),
            subtask.softmax(dim=1),
            free.tanh(),
            base,
        ]
        per_effector = (n, self._effectors)
        return PlannerOutput(
            latent=torch.cat(latent, dim=1),
            subtask_logits=subtask,
            goal_pos_w=self.goal_scale.inverse(goal.reshape(*per_effector, 3)),
            goal_rot6d=rotation.reshape(*per_effector, ROTATION_SIZE),
            goal_vel_w=self.speed_scale.inverse(speed.reshape(*per_effector, 3)),
            gripper=gripper.tanh(),
            completion=completion.sigmoid()[:, 0],
            base_goal_w=self._base_goal(base.reshape(n, self._bases, BASE_GOAL_SIZE)),
            gaze=gaze.reshape(n, cameras, -1),
        )

    def _base_goal(self, base: Tensor) -> Tensor:
        return self.base_scale.inverse(base) if self._bases else base


class ControllerNet(nn.Module):
    """System 1: from live proprioception, a latent and its age to a chunk of actions.

    One of its inputs is how far each effector is from the goal in the latent, after the
    goal has moved at its own speed for as long as the plan is old. This makes it easy
    to learn to servo, and to make up for delay.
    """

    def __init__(self, config: NetConfig, latent_size: int) -> None:
        super().__init__()
        # Where the effectors' poses are in the proprioception.
        effectors = config.effectors
        slices = config.agent_layout.slices()
        self._effectors = len(effectors)
        self._positions = [slices[f"{name}_pos_w"] for name in effectors]
        self._rotations = [slices[f"{name}_rot6d"] for name in effectors]
        self._chunk_shape = (config.chunk, config.action_size)

        # The same scales as the planner's: they undo its normalisation of the latent.
        self.agent_scale = Scale(config.agent_layout.size)
        self.goal_scale = Scale(3)
        self.speed_scale = Scale(3)
        self.proprioception = Proprioception(config)
        offsets = (3 * len(GOAL_OFFSET_UNITS_M) + ROTATION_SIZE) * self._effectors
        ages = 2  # a plan's age, and how fresh it is
        inputs = self.proprioception.size + latent_size + offsets + ages
        self.layers = nn.Sequential(
            nn.Linear(inputs, config.hidden),
            nn.LayerNorm(config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.SiLU(),
            nn.Linear(config.hidden, config.chunk * config.action_size),
        )

    def forward(self, agent_pos: Tensor, latent: Tensor, age_s: Tensor) -> Tensor:
        """Returns n chunks of actions, (n, chunk, A).

        Args:
            agent_pos: (n, P) proprioception.
            latent: (n, L) of the plans.
            age_s: (n,) of the plans.
        """
        goal, rotation, speed = self._goals(latent)
        position = torch.stack([agent_pos[:, part] for part in self._positions], dim=1)
        posture = torch.stack([agent_pos[:, part] for part in self._rotations], dim=1)

        # How far each effector is from where its goal is by now.
        offset_m = goal + speed * age_s[:, None, None] - position  # (n, E, 3)
        offsets = [
            torch.tanh(offset_m / unit).flatten(1) for unit in GOAL_OFFSET_UNITS_M
        ]
        turn = (rotation - posture).flatten(1)

        # The second feature of the age falls from 1 to 0: it resolves small ages.
        ages = torch.stack([age_s, torch.exp(-AGE_DECAY_PER_S * age_s)], dim=1)
        body = self.proprioception(agent_pos, self.agent_scale)
        inputs = torch.cat([body, latent, *offsets, turn, ages], dim=1)
        return self.layers(inputs).reshape(-1, *self._chunk_shape)

    def _goals(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the goals' positions, rotations and speeds in a latent, (n, E, ...).

        A latent begins with these, normalised (see `PlannerNet.sizes`). The result is
        in m and m/s.
        """
        num = self._effectors
        sizes = [3 * num, ROTATION_SIZE * num, 3 * num]
        goal, rotation, speed = torch.split(latent[:, : sum(sizes)], sizes, dim=1)
        return (
            self.goal_scale.inverse(goal.reshape(-1, num, 3)),
            rotation.reshape(-1, num, ROTATION_SIZE),
            self.speed_scale.inverse(speed.reshape(-1, num, 3)),
        )


class DualSystemNet(nn.Module):
    """Both networks, saved and trained as one."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.planner = PlannerNet(config)
        self.controller = ControllerNet(config, self.planner.plan_shape.latent)

    def fit_scales(
        self,
        agent_pos: Tensor,
        goal_pos_w: Tensor,
        goal_vel_w: Tensor,
        base_goal_w: Tensor,
    ) -> None:
        """Fits the normalisation to training data.

        Args:
            agent_pos: (m, P) proprioception.
            goal_pos_w: (m, E, 3) m.
            goal_vel_w: (m, E, 3) m/s.
            base_goal_w: (m, B, 4) m and rad.
        """
        for part in (self.planner, self.controller):
            part.agent_scale.fit(agent_pos, MIN_AGENT_STD)
            part.goal_scale.fit(goal_pos_w.flatten(0, 1), MIN_GOAL_STD_M)
            part.speed_scale.fit(goal_vel_w.flatten(0, 1), MIN_SPEED_STD_M_S)
        if self.config.bases:
            self.planner.base_scale.fit(base_goal_w.flatten(0, 1), MIN_BASE_STD)


def _as_channels(images: Tensor, light: Tensor | None) -> Tensor:
    """Returns images (n * cameras, 6, H, W) in [-1, 1]: earlier and newest colours.

    Args:
        images: (n, cameras, 2, H, W, 3) uint8.
        light: (n, 2) factor and shift of the pixels, which may leave [-1, 1]; or None.
    """
    n, cameras, _, height, width, _ = images.shape
    channels_first = images.permute(0, 1, 2, 5, 3, 4)  # (n, cameras, 2, 3, H, W)
    flat = channels_first.reshape(n * cameras, 6, height, width).float() / 127.5 - 1
    if light is None:
        return flat

    per_image = light.repeat_interleave(cameras, dim=0)[:, :, None, None, None]
    gain, shift = per_image.unbind(dim=1)
    return flat * gain + shift
