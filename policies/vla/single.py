"""The single system: one network from observations to action chunks, as a planner.

It is the baseline that the dual system has to beat. It has the encoders and the trunk of
the dual system's planner network, and is trained with the same labels. An action head
takes the place of the controller network: what it predicts at the planner's rate is played
without looking at the robot again (see `ChunkPlayer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from embodied.core import Array, Observation
from embodied.plan import Payload, PlanShape
from embodied.policies.inference import infer_in_batches
from embodied.policies.vla.agents import OUTPUTS, ImageMemory, payload_of_outputs
from embodied.policies.vla.head_config import HeadConfig
from embodied.policies.vla.heads import Context, ContextSizes, make_head
from embodied.policies.vla.layers import GoalOffsets
from embodied.policies.vla.network import (
    NetConfig,
    PlannerNet,
    PlannerOutput,
    fit_scales,
)
from embodied.seeding import Stream, episode_generator


class SingleSystemNet(nn.Module):
    """The encoders, trunk and labelled outputs of a planner network, with an action head."""

    def __init__(self, config: NetConfig, head: HeadConfig) -> None:
        """Makes the layers.

        Args:
            config: the sizes of the inputs and of the planner network.
            head: the kind and sizes of the action head.
        """
        super().__init__()
        # the free elements of a latent would reach nobody here
        self.config = replace(config, free_latent=0)
        self.planner = PlannerNet(self.config)
        self._offsets = GoalOffsets(config.agent_layout, config.effectors)
        robot = self.planner.proprioception.size + self._offsets.size
        sizes = ContextSizes(
            hidden=config.hidden,
            cameras=len(config.cameras),
            camera=self.planner.vision.size,
            text=config.text_width,
            robot=robot,
        )
        self.head = make_head(head, config.action_size, sizes)

    @property
    def plan_shape(self) -> PlanShape:
        rows, actions = self.head.chunk_shape
        shape = replace(self.planner.plan_shape, latent=0)
        return replace(shape, chunk_steps=rows, chunk_actions=actions)

    def forward(
        self,
        images: Tensor,
        tokens: Tensor,
        agent_pos: Tensor,
        light: Tensor | None = None,
        noisy_agent_pos: Tensor | None = None,
    ) -> tuple[PlannerOutput, Context]:
        """Returns n plans, and what the head needs for their chunks.

        The head gets what the dual system's controller gets: proprioception, and the way
        to the predicted goals.

        Args:
            images: (n, cameras, 2, H, W, 3) uint8, the earlier and the newest images.
            tokens: (n, T) the words of the instruction as tokens.
            agent_pos: (n, P) proprioception.
            light: (n, 2) factor and offset for the normalised pixels, in training only.
            noisy_agent_pos: (n, P) the proprioception for the trunk, in training only;
                None for `agent_pos`.
        """
        if noisy_agent_pos is None:
            noisy_agent_pos = agent_pos
        features = self.planner.features(images, tokens, noisy_agent_pos, light)
        output = self.planner.output(features)

        robot = self.planner.proprioception(agent_pos, self.planner.agent_scale)
        offsets = self._offsets(agent_pos, output.goal_pos_w, output.goal_rot6d)
        context = Context(
            hidden=features.hidden,
            cameras=features.cameras,
            text=features.text,
            robot=torch.cat([robot, offsets], dim=1),
        )
        return output, context

    def fit_scales(
        self,
        agent_pos: Tensor,
        goal_pos_w: Tensor,
        goal_vel_w: Tensor,
        base_goal_w: Tensor,
        action: Tensor,
    ) -> None:
        """Fits the normalisation to training data.

        Args:
            agent_pos: (m, P) the proprioception of m samples.
            goal_pos_w: (m, E, 3) m, the positions of the goals.
            goal_vel_w: (m, E, 3) m/s, the velocities of the goals.
            base_goal_w: (m, B, 4) m and rad, the goals of bases.
            action: (m, A) the actions at the beginning of the chunks.
        """
        fit_scales(self.planner, agent_pos, goal_pos_w, goal_vel_w)
        self.planner.fit_base_scale(base_goal_w)
        self.head.fit_scale(action)


class SinglePlanner:
    """The single system as a planner of action chunks."""

    def __init__(self, net: SingleSystemNet) -> None:
        """Sets the network to inference."""
        self.plan_shape = net.plan_shape
        self._net = net.eval()
        self._vocabulary = net.config.vocabulary
        self._memory = ImageMemory(net.config.cameras, net.config.history_s)
        # world -> what draws the noise for the plans of its episode
        self._generators: dict[int, np.random.Generator] = {}

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Drops the images of worlds `ids`; noise is drawn from their episodes' seeds."""
        self._memory.forget(ids)
        for world, seed in zip(np.asarray(ids).tolist(), seeds, strict=True):
            self._generators[world] = episode_generator(seed, Stream.ACTION_HEAD)

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns the network's plans for worlds `ids` (n,), given their n observations."""
        images = self._memory.images(observation, ids)
        tokens = self._vocabulary.encode(observation.instruction)
        agent_pos = torch.from_numpy(np.asarray(observation.agent_pos, np.float32))
        noise = torch.from_numpy(self._noise(ids))

        def infer(rows: np.ndarray) -> list[Tensor]:
            pixels = torch.from_numpy(images[rows])
            output, context = self._net(pixels, tokens[rows], agent_pos[rows])
            chunk = self._net.head.sample(context, noise[rows]).clamp(-1, 1)
            return [chunk, *(getattr(output, name) for name in OUTPUTS)]

        chunk, *outputs = infer_in_batches(len(images), infer)
        plan = payload_of_outputs(dict(zip(OUTPUTS, outputs, strict=True)))
        # the latent of such a plan repeats its goals, and no controller takes it
        return replace(
            plan,
            latent=plan.latent[:, :0],
            chunk=chunk,
            chunk_hz=np.full(len(chunk), self._net.head.config.chunk_hz),
        )

    def _noise(self, ids: Array) -> np.ndarray:
        """Returns noise for the head in worlds `ids` (n,), (n, H, A) float32."""
        shape = self._net.head.chunk_shape
        if not self._net.head.draws_noise:
            return np.zeros((len(ids), *shape), np.float32)
        draws = [
            self._generators[world].standard_normal(shape, np.float32)
            for world in np.asarray(ids).tolist()
        ]
        return np.stack(draws)
