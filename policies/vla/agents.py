"""The trained networks as a planner and a controller, with their state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from embodied.core import PHYSICS_HZ, Array, Observation, PolicySpec
from embodied.plan import Payload, PayloadKind
from embodied.policies.inference import infer_in_batches
from embodied.policies.vla.network import DualSystemNet
from embodied.rotations import quat_from_rot6d

# The outputs of the planner network that plans are made of.
OUTPUTS = (
    "latent",
    "subtask_logits",
    "goal_pos_w",
    "goal_rot6d",
    "goal_vel_w",
    "gripper",
    "completion",
    "base_goal_w",
)


class ImageMemory:
    """Keeps the earlier images of each world, which show motion beside the newest ones.

    Args:
        cameras: the names of the cameras.
        history_s: the age of the earlier image.
    """

    def __init__(self, cameras: Sequence[str], history_s: float) -> None:
        """Begins without images."""
        self._cameras = cameras
        self._history_s = history_s
        # world -> (tick, images (cameras, H, W, 3)), oldest first
        self._history: dict[int, list[tuple[int, np.ndarray]]] = {}

    def forget(self, ids: Array) -> None:
        """Drops the images of worlds `ids`."""
        for world in np.asarray(ids).tolist():
            self._history[world] = []

    def images(self, observation: Observation, ids: Array) -> np.ndarray:
        """Returns the earlier and the newest images, (n, cameras, 2, H, W, 3).

        Args:
            observation: the observation of n worlds.
            ids: (n,) these worlds.
        """
        frames = [observation.pixels[name] for name in self._cameras]
        newest = np.stack(frames, axis=1)  # (n, cameras, H, W, 3)

        earlier = []
        for world, tick, images in zip(
            ids, observation.pixels_tick, newest, strict=True
        ):
            earlier.append(self.remember(int(world), int(tick), images))
        return np.stack([np.stack(earlier), newest], axis=2)

    def remember(self, world: int, tick: int, images: np.ndarray) -> np.ndarray:
        """Stores a world's newest images, and returns the images of `history_s` ago.

        In the first `history_s` of an episode it returns the episode's first images.

        Args:
            world: the index of the world.
            tick: the tick at which the newest images were captured.
            images: (cameras, H, W, 3) the newest images.
        """
        # images with the tick of the last stored images are stored already
        history = self._history.setdefault(world, [])
        if not history or history[-1][0] < tick:
            history.append((tick, images.copy()))

        # drop images as long as the next ones are at least `history_s` old, too
        wanted_tick = tick - self._history_s * PHYSICS_HZ
        while len(history) > 1 and history[1][0] <= wanted_tick:
            history.pop(0)
        return history[0][1]


class VLAPlanner:
    """The planner network as System 2. It keeps earlier images, which show motion."""

    def __init__(self, net: DualSystemNet) -> None:
        """Sets the planner network of `net` to inference."""
        self.plan_shape = net.planner.plan_shape
        self._net = net.planner.eval()
        self._vocabulary = net.config.vocabulary
        self._memory = ImageMemory(net.config.cameras, net.config.history_s)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Drops the images of worlds `ids`; the seeds are not used."""
        self._memory.forget(ids)

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns the network's plans for worlds `ids` (n,), given their n observations."""
        images = self._memory.images(observation, ids)
        tokens = self._vocabulary.encode(observation.instruction)
        agent_pos = torch.from_numpy(np.asarray(observation.agent_pos, np.float32))

        def infer(rows: np.ndarray) -> list[Tensor]:
            pixels = torch.from_numpy(images[rows])
            output = self._net(pixels, tokens[rows], agent_pos[rows])
            return [getattr(output, name) for name in OUTPUTS]

        outputs = infer_in_batches(len(images), infer)
        return payload_of_outputs(dict(zip(OUTPUTS, outputs, strict=True)))


def payload_of_outputs(values: Mapping[str, np.ndarray]) -> Payload:
    """Returns plans from the outputs of a planner network, by the names in OUTPUTS."""
    # the networks compute in float32, but plans are float64
    rotation = values["goal_rot6d"].astype(np.float64)
    return Payload(
        subtask=values["subtask_logits"].argmax(axis=1).astype(np.int64),
        goal_pos_w=values["goal_pos_w"].astype(np.float64),
        goal_quat_wxyz=quat_from_rot6d(rotation),
        goal_vel_w=values["goal_vel_w"].astype(np.float64),
        gripper=values["gripper"].astype(np.float64),
        completion=values["completion"].astype(np.float64),
        latent=values["latent"],
        base_goal_w=values["base_goal_w"].astype(np.float64),
    )


class ChunkController:
    """The controller network as System 1.

    It predicts chunks of actions, and executes the first few actions of each.

    Args:
        net: the networks.
        spec: the policy's requirements on the worlds.
    """

    takes: tuple[PayloadKind, ...] = ("latent",)
    sees_frames = False

    def __init__(self, net: DualSystemNet, spec: PolicySpec) -> None:
        """Begins without chunks; `reset` makes room for the worlds."""
        self.spec = spec
        self._net = net.controller.eval()
        self._config = net.config

        chunk_shape = (net.config.chunk, net.config.action_size)
        self._chunk = np.zeros((0, *chunk_shape), np.float32)  # (N, chunk, A)
        self._next_step = np.zeros(0, np.int64)  # (N,) index into the chunk

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Forgets the chunks of worlds `ids` (n,)."""
        # the number of worlds is unknown, so grow the arrays to the largest index
        num_new = int(np.max(ids)) + 1 - len(self._next_step)
        if num_new > 0:
            new_chunks = np.zeros((num_new, *self._chunk.shape[1:]), np.float32)
            self._chunk = np.concatenate([self._chunk, new_chunks])
            new_steps = np.zeros(num_new, np.int64)
            self._next_step = np.concatenate([self._next_step, new_steps])

        # mark the chunk as used up, so that the next `act` predicts a new one
        self._next_step[ids] = self._config.execute

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        """Returns the next actions (N, A) of the chunks; predicts chunks that are used up."""
        # Predict a new chunk in each world that has executed `execute` actions of its old
        # chunk. Worlds begin episodes at different times, so their chunks are used up at
        # different steps.
        due = np.flatnonzero(self._next_step >= self._config.execute)
        if len(due):
            self._chunk[due] = self._predict(
                observation.agent_pos[due], payload.latent[due], age_s[due]
            )
            self._next_step[due] = 0

        worlds = np.arange(len(self._next_step))
        action = np.clip(self._chunk[worlds, self._next_step], -1.0, 1.0)
        self._next_step += 1
        return action

    def _predict(self, agent_pos: Array, latent: Array, age_s: Array) -> np.ndarray:
        """Returns the network's chunks of actions, (n, chunk, A).

        Args:
            agent_pos: (n, P) proprioception.
            latent: (n, L) the latents of the plans.
            age_s: (n,) the ages of the plans.
        """
        inputs = [
            torch.from_numpy(np.asarray(value, np.float32))
            for value in (agent_pos, latent, age_s)
        ]

        def infer(rows: np.ndarray) -> list[Tensor]:
            return [self._net(*(value[rows] for value in inputs))]

        return infer_in_batches(len(agent_pos), infer)[0]
