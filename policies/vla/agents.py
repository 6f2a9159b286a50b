"""The networks as core planner and controller: per-world memory, and batches of one
fixed size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from embodied.core import PHYSICS_HZ, Array, Observation, Payload, PolicySpec
from embodied.policies.vla.network import DualSystemNet, Thought
from embodied.rotations import quat_from_rot6d

# rows of every inference: with one fixed size a world's result does not depend on its
# neighbours
BATCH = 16


def padded(rows: int, run: Callable[[np.ndarray], list[Tensor]]) -> list[np.ndarray]:
    """Runs `run` over row numbers in batches of exactly BATCH (the last row repeated),
    and joins what it returns.
    """
    joined: list[list[np.ndarray]] = []
    for first in range(0, rows, BATCH):
        ids = np.minimum(np.arange(first, first + BATCH), rows - 1)
        with torch.inference_mode():
            joined.append([part.numpy()[: rows - first] for part in run(ids)])
    return [np.concatenate(parts) for parts in zip(*joined, strict=True)]


class VLAPlanner:
    """System 2 as learned: remembers each world's last pictures, to see motion."""

    def __init__(self, net: DualSystemNet) -> None:
        self._net = net.planner.eval()
        self.latent_size = net.planner.latent_size
        self._config = net.config
        self._vocabulary = net.config.vocabulary
        # world -> (tick, (cameras, H, W, 3)), oldest first
        self._seen: dict[int, list[tuple[int, np.ndarray]]] = {}

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        for world in np.asarray(ids).tolist():
            self._seen[world] = []

    def plan(self, observation: Observation, ids: Array) -> Payload:
        # (n, cameras, H, W, 3)
        now = np.stack(
            [observation.pixels[name] for name in self._config.cameras], axis=1
        )
        ticks = observation.pixels_tick
        then = np.stack(
            [
                self._then(int(w), int(t), p)
                for w, t, p in zip(ids, ticks, now, strict=True)
            ]
        )
        images = np.stack([then, now], axis=2)
        tokens = self._vocabulary.encode(observation.instruction)
        agent = torch.from_numpy(np.asarray(observation.agent_pos, np.float32))

        def run(rows: np.ndarray) -> list[Tensor]:
            return _fields(
                self._net(torch.from_numpy(images[rows]), tokens[rows], agent[rows])
            )

        latent, subtask, pos, rot6d, vel, gripper, completion = padded(len(now), run)
        return Payload(
            subtask=subtask.argmax(axis=1).astype(np.int64),
            goal_pos_w=pos.astype(np.float64),
            goal_quat_wxyz=quat_from_rot6d(rot6d.astype(np.float64)),
            goal_vel_w=vel.astype(np.float64),
            gripper=gripper.astype(np.float64),
            completion=completion.astype(np.float64),
            latent=latent,
        )

    def _then(self, world: int, tick: int, picture: np.ndarray) -> np.ndarray:
        """The remembered picture nearest to `history_s` ago; at an episode's start the
        oldest there is.
        """
        seen = self._seen.setdefault(world, [])
        if not seen or seen[-1][0] < tick:
            seen.append((tick, picture.copy()))
        wanted = tick - self._config.history_s * PHYSICS_HZ
        while len(seen) > 1 and seen[1][0] <= wanted:
            seen.pop(0)
        return seen[0][1]


def _fields(thought: Thought) -> list[Tensor]:
    return [
        *(
            thought.latent,
            thought.subtask_logits,
            thought.goal_pos_w,
            thought.goal_rot6d,
        ),
        *(thought.goal_vel_w, thought.gripper, thought.completion),
    ]


class ChunkController:
    """System 1 as learned: predicts a chunk of actions and executes its first steps
    before the next.
    """

    def __init__(self, net: DualSystemNet, spec: PolicySpec) -> None:
        self.spec = spec
        self._net = net.controller.eval()
        self._config = net.config
        # (N, chunk, A)
        self._chunk = np.zeros(
            (0, net.config.chunk, net.config.action_size), np.float32
        )
        self._at = np.zeros(0, np.int64)  # (N,) next step of the chunk

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        missing = int(np.max(ids)) + 1 - len(self._at)
        if missing > 0:
            self._chunk = np.concatenate(
                [self._chunk, np.zeros((missing, *self._chunk.shape[1:]), np.float32)]
            )
            self._at = np.concatenate([self._at, np.zeros(missing, np.int64)])
        self._at[ids] = self._config.execute

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        due = np.flatnonzero(self._at >= self._config.execute)
        if len(due):
            self._chunk[due] = self._predict(
                observation.agent_pos[due], payload.latent[due], age_s[due]
            )
            self._at[due] = 0
        action = np.clip(self._chunk[np.arange(len(self._at)), self._at], -1.0, 1.0)
        self._at += 1
        return action

    def _predict(self, agent_pos: Array, latent: Array, age_s: Array) -> np.ndarray:
        inputs = [
            torch.from_numpy(np.asarray(x, np.float32))
            for x in (agent_pos, latent, age_s)
        ]
        return padded(
            len(agent_pos), lambda rows: [self._net(*(x[rows] for x in inputs))]
        )[0]
