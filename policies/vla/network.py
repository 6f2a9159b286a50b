"""The two networks of the reference dual system, and the latent between them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from embodied.core import SKILLS, Layout
from embodied.plan import PlanShape
from embodied.policies.vla.layers import (
    ROTATION_SIZE,
    GoalOffsets,
    Proprioception,
    Scale,
    as_channels,
)
from embodied.policies.vla.text import Vocabulary, WordBag
from embodied.policies.vla.vision import FilmConv

AGE_DECAY_PER_S = 4.0  # of the second feature of a plan's age
BASE_GOAL_SIZE = 4  # x, y, z and yaw

# The smallest standard deviations for normalising: noise in still values is not amplified.
MIN_AGENT_STD = 0.02
MIN_GOAL_STD_M = 0.05
MIN_SPEED_STD_M_S = 0.02
MIN_BASE_STD = 0.05  # m and rad


@dataclass(frozen=True)
class NetConfig:
    """The sizes of the networks and of their inputs, as JSON values.

    Attributes:
        words: the vocabulary.
        agent_parts: (name, width) of the parts of the proprioception.
        cameras: the names of the cameras whose images the planner gets.
        action_size: A.
        image_size: the height and width of an image, in pixels.
        history_s: the age of the earlier image; both images together show motion.
        text_width: the size of the encoded instruction.
        hidden: the width of the hidden layers.
        free_latent: the number of elements of the latent that no label of a plan trains.
        chunk: the number of control steps in a chunk.
        execute: the number of control steps that are executed of each chunk.
        bases: B, the number of bases that travel to goals.
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
        """Names of the effectors in the proprioception."""
        return self._names_ending_in("_rot6d")

    @property
    def grippers(self) -> tuple[str, ...]:
        """Names of the grippers in the proprioception."""
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
        # JSON has lists instead of tuples
        tuples = {name: tuple(stored[name]) for name in ("words", "cameras")}
        parts = tuple((name, width) for name, width in stored["agent_parts"])
        return cls(**{**stored, **tuples, "agent_parts": parts})


@dataclass(frozen=True)
class PlannerOutput:
    """n plans of the planner network, for E effectors and B bases.

    Only `latent` is an input of the controller network.
    """

    latent: Tensor  # (n, L)
    subtask_logits: Tensor  # (n, len(SKILLS))
    goal_pos_w: Tensor  # (n, E, 3) m
    goal_rot6d: Tensor  # (n, E, 6)
    goal_vel_w: Tensor  # (n, E, 3) m/s
    gripper: Tensor  # (n, E) in [-1, 1]
    completion: Tensor  # (n,) in [0, 1]
    base_goal_w: Tensor  # (n, B, 4) m and rad
    # (n, cameras, cells) log-probabilities of the image cell that contains the first
    # effector's goal
    gaze: Tensor


@dataclass(frozen=True)
class Features:
    """What the planner network's encoders and its trunk make of n observations."""

    cameras: Tensor  # (n, cameras, F)
    text: Tensor  # (n, text width)
    hidden: Tensor  # (n, hidden), of the trunk
    gaze: Tensor  # (n, cameras, cells), as in `PlannerOutput`


class PlannerNet(nn.Module):
    """System 2: from images, instruction and proprioception to plans.

    It gets the newest images and earlier ones. The latent contains the labelled outputs
    (goals, velocities, grippers, completion, subtask) and some free elements. So the
    planner is trained both by the labels of plans and, through the latent, by the
    controller's actions.
    """

    def __init__(self, config: NetConfig) -> None:
        """Makes the layers: encoders of the inputs, a trunk, and one layer for all outputs."""
        super().__init__()
        self._effectors = len(config.effectors)
        self._bases = config.bases

        # encoders of the inputs, and scales of the goals and velocities in the latent
        self.text = WordBag(config.vocabulary, config.text_width)
        self.vision = FilmConv(6, config.text_width)  # colours of two images
        self.agent_scale = Scale(config.agent_layout.size)
        self.goal_scale = Scale(3)
        self.speed_scale = Scale(3)
        if self._bases:
            self.base_scale = Scale(BASE_GOAL_SIZE)
        self.proprioception = Proprioception(config.agent_layout, config.grippers)
        images = self.vision.size * len(config.cameras)
        inputs = images + config.text_width + self.proprioception.size

        # the latent, whose parts have these `sizes`
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
            images: (n, cameras, 2, H, W, 3) uint8, the earlier and the newest images.
            tokens: (n, T) the words of the instruction as tokens.
            agent_pos: (n, P) proprioception.
            light: (n, 2) factor and offset for the normalised pixels, in training only.
        """
        return self.output(self.features(images, tokens, agent_pos, light))

    def features(
        self,
        images: Tensor,
        tokens: Tensor,
        agent_pos: Tensor,
        light: Tensor | None = None,
    ) -> Features:
        """Returns the features of n observations; the arguments are as in `forward`."""
        # the instruction conditions the image encoder
        n, cameras = images.shape[:2]
        text = self.text(tokens)
        pixels = as_channels(images, light)
        features, gaze = self.vision(pixels, text.repeat_interleave(cameras, dim=0))

        robot = self.proprioception(agent_pos, self.agent_scale)
        inputs = torch.cat([features.reshape(n, -1), text, robot], dim=1)
        return Features(
            cameras=features.reshape(n, cameras, -1),
            text=text,
            hidden=self.trunk(inputs),
            gaze=gaze.reshape(n, cameras, -1),
        )

    def output(self, features: Features) -> PlannerOutput:
        """Returns the plans for n observations with these features."""
        # The latent joins all outputs in the order of `sizes`. Bounded outputs are
        # squashed to their bounds. Goals, velocities and bases are normalised in the
        # latent, while plans have them in m and m/s.
        n = len(features.hidden)
        outputs = self.heads(features.hidden).split(self.sizes, dim=1)
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
            gaze=features.gaze,
        )

    def fit_base_scale(self, base_goal_w: Tensor) -> None:
        """Fits the normalisation of bases' goals (m, B, 4), if there are bases."""
        if self._bases:
            self.base_scale.fit(base_goal_w.flatten(0, 1), MIN_BASE_STD)

    def _base_goal(self, base: Tensor) -> Tensor:
        return self.base_scale.inverse(base) if self._bases else base


class ControllerNet(nn.Module):
    """System 1: from live proprioception, a latent and its age to a chunk of actions.

    One input is the offset from each effector to its goal in the latent, extrapolated by
    the goal's velocity times the plan's age. With it, servoing and compensating for
    delays are easy to learn.
    """

    def __init__(self, config: NetConfig, latent_size: int) -> None:
        """Makes the layers; `latent_size` is the number of elements of the planner's latent."""
        super().__init__()
        self._effectors = len(config.effectors)
        self._chunk_shape = (config.chunk, config.action_size)

        # fitted with the planner's scales, to undo its normalisation of goals and speeds
        self.agent_scale = Scale(config.agent_layout.size)
        self.goal_scale = Scale(3)
        self.speed_scale = Scale(3)
        self.proprioception = Proprioception(config.agent_layout, config.grippers)
        self._offsets = GoalOffsets(config.agent_layout, config.effectors)
        ages = 2  # features of the plan's age
        inputs = self.proprioception.size + latent_size + self._offsets.size + ages
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
            latent: (n, L) the latents of the plans.
            age_s: (n,) the ages of the plans.
        """
        goal, goal_rot6d, speed = self._goals(latent)

        # from each effector to its goal, extrapolated to the present
        present_goal = goal + speed * age_s[:, None, None]
        offsets = self._offsets(agent_pos, present_goal, goal_rot6d)

        # the second feature of the age falls from 1 to 0, and resolves small ages
        ages = torch.stack([age_s, torch.exp(-AGE_DECAY_PER_S * age_s)], dim=1)
        robot = self.proprioception(agent_pos, self.agent_scale)
        inputs = torch.cat([robot, latent, offsets, ages], dim=1)
        return self.layers(inputs).reshape(-1, *self._chunk_shape)

    def _goals(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the goals in a latent: positions, rotations and velocities.

        The latent holds them as its first parts (see `PlannerNet.sizes`), normalised.

        Returns:
            (n, E, 3) m, (n, E, 6) and (n, E, 3) m/s.
        """
        effectors = self._effectors
        sizes = [3 * effectors, ROTATION_SIZE * effectors, 3 * effectors]
        goal, rotation, speed = torch.split(latent[:, : sum(sizes)], sizes, dim=1)
        return (
            self.goal_scale.inverse(goal.reshape(-1, effectors, 3)),
            rotation.reshape(-1, effectors, ROTATION_SIZE),
            self.speed_scale.inverse(speed.reshape(-1, effectors, 3)),
        )


class DualSystemNet(nn.Module):
    """Both networks in one module, to be trained and saved together."""

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
            agent_pos: (m, P) the proprioception of m samples.
            goal_pos_w: (m, E, 3) m, the positions of the goals.
            goal_vel_w: (m, E, 3) m/s, the velocities of the goals.
            base_goal_w: (m, B, 4) m and rad, the goals of bases.
        """
        for net in (self.planner, self.controller):
            fit_scales(net, agent_pos, goal_pos_w, goal_vel_w)
        self.planner.fit_base_scale(base_goal_w)


def fit_scales(
    net: PlannerNet | ControllerNet,
    agent_pos: Tensor,
    goal_pos_w: Tensor,
    goal_vel_w: Tensor,
) -> None:
    """Fits the normalisation of one network; the arguments are as in `DualSystemNet`."""
    net.agent_scale.fit(agent_pos, MIN_AGENT_STD)
    net.goal_scale.fit(goal_pos_w.flatten(0, 1), MIN_GOAL_STD_M)
    net.speed_scale.fit(goal_vel_w.flatten(0, 1), MIN_SPEED_STD_M_S)
