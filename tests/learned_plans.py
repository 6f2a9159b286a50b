"""A planner that learns plans from datasets, for the experiment of docs/generate.md.

It is for ToteTransfer. It sees proprioception, the privileged state and the ways between
hand, tote and slot, no pictures, so that it trains in a minute; the goal servo follows
its plans, as it follows the expert's.

    python tests/learned_plans.py few.hdf5 many.hdf5 -o weights.safetensors
    LEARNED=weights.safetensors embodied eval ToteTransfer --policy learned_plans:POLICY
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from embodied.core import SKILLS, Array, Layout, Observation
from embodied.datasets.reader import Dataset
from embodied.envs.worlds import Worlds
from embodied.plan import Payload, PlanShape
from embodied.policies.custom import policy_from_planner
from embodied.rotations import quat_from_rot6d, quat_to_rot6d

WIDTH = 192
STEPS = 4000
BATCH = 128
LEARNING_RATE = 2e-3
# how far inputs are disturbed, in their standard deviations
JITTER = 0.02
# ways of these lengths, in m, are told apart best
FINE_M = (0.1, 0.02)
HELD_WIDTH_M = 0.007  # of the gripper on a tote's wall
OUTPUTS = {
    "goal_from_tote": 3,
    "rot6d": 6,
    "goal_vel_w": 3,
    "gripper": 1,
    "completion": 1,
}


class PlanNetwork(nn.Module):
    """Maps what a planner sees to a plan; the figures of its scaling are weights, too."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        outputs = sum(OUTPUTS.values())
        self.body = nn.Sequential(
            nn.Linear(inputs, WIDTH),
            nn.ReLU(),
            nn.Linear(WIDTH, WIDTH),
            nn.ReLU(),
            nn.Linear(WIDTH, WIDTH),
            nn.ReLU(),
        )
        self.values = nn.Linear(WIDTH, outputs)
        self.skill = nn.Linear(WIDTH, len(SKILLS))
        for name, size in (("input", inputs), ("output", outputs)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_std", torch.ones(size))

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Returns scaled values (n, V) and logits of skills (n, S)."""
        hidden = self.body(seen)
        return self.values(hidden), self.skill(hidden)

    def scaled(self, seen: Tensor) -> Tensor:
        return (seen - self.input_mean) / self.input_std


def features(agent_pos: np.ndarray, state: np.ndarray, reader: Parts) -> np.ndarray:
    """Returns what the network sees (n, I): both vectors, and ways in between."""
    tcp = agent_pos[:, reader.tcp]
    tote = state[:, reader.tote]
    slot = state[:, reader.slot]
    parts = [agent_pos, state]
    for way in (tcp - tote, tote - slot):
        parts += [way, *(np.tanh(way / fine_m) for fine_m in FINE_M)]
    parts.append(np.tanh((agent_pos[:, reader.width] - HELD_WIDTH_M) / 0.005))
    return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class Parts:
    """Where the parts that matter lie in proprioception and privileged state."""

    tcp: slice
    width: slice
    tote: slice
    slot: slice

    @classmethod
    def of(cls, agent: Layout, state: Layout) -> Parts:
        agent_parts = agent.slices()
        state_parts = state.slices()
        return cls(
            agent_parts["tcp_pos_w"],
            agent_parts["gripper_width"],
            state_parts["tote_pos_w"],
            state_parts["slot_pos_w"],
        )


def plans_of(paths: Sequence[Path]) -> tuple[Tensor, Tensor, Tensor]:
    """Returns what was seen (k, I), the plans' values (k, V) and skills (k,)."""
    seen = []
    values = []
    skills = []
    for path in paths:
        with Dataset(path) as dataset:
            reader = Parts.of(dataset.agent_layout, dataset.state_layout)
            for number in dataset.mask("success"):
                episode = dataset.episode(number, images=False)
                plans = episode.plans
                frame = np.searchsorted(
                    episode.frame_tick, plans["tick_frame"], "right"
                )
                frame = np.maximum(frame - 1, 0)
                agent_pos = episode.obs["agent_pos"][frame].astype(np.float64)
                state = episode.obs["environment_state"][frame].astype(np.float64)
                seen.append(features(agent_pos, state, reader))
                parts = [
                    plans["goal_pos_w"][:, 0] - state[:, reader.tote],
                    quat_to_rot6d(plans["goal_quat_wxyz"][:, 0]),
                    plans["goal_vel_w"][:, 0],
                    plans["gripper"],
                    plans["completion"][:, None],
                ]
                values.append(np.concatenate(parts, axis=1))
                skills.append(plans["subtask"])
    tensors = [torch.from_numpy(np.concatenate(part)) for part in (seen, values)]
    skill = torch.from_numpy(np.concatenate(skills))
    return tensors[0].float(), tensors[1].float(), skill


def train(paths: Sequence[Path], seed: int, steps: int) -> PlanNetwork:
    """Returns a network that has learned the plans of some datasets."""
    torch.manual_seed(seed)
    seen, values, skill = plans_of(paths)
    network = PlanNetwork(seen.shape[1])
    network.input_mean[:] = seen.mean(0)
    network.input_std[:] = seen.std(0) + 1e-3
    network.output_mean[:] = values.mean(0)
    network.output_std[:] = values.std(0) + 1e-2
    wanted = (values - network.output_mean) / network.output_std

    optimiser = torch.optim.AdamW(
        network.parameters(), LEARNING_RATE, weight_decay=1e-3
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        rows = torch.randint(len(seen), (BATCH,))
        inputs = network.scaled(seen[rows])
        inputs = inputs + JITTER * torch.randn_like(inputs)
        predicted, logits = network(inputs)
        loss = nn.functional.smooth_l1_loss(predicted, wanted[rows])
        loss = loss + 0.1 * nn.functional.cross_entropy(logits, skill[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network


class LearnedPlanner:
    """Plans with the network whose weights the variable LEARNED names."""

    plan_shape = PlanShape()

    def __init__(self, worlds: Worlds) -> None:
        self._reader = Parts.of(worlds.agent_layout, worlds.state_layout)
        weights = load_file(os.environ["LEARNED"])
        self._network = PlanNetwork(len(weights["input_mean"]))
        self._network.load_state_dict(weights)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing: nothing is remembered."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        state = observation.environment_state
        seen_now = features(observation.agent_pos, state, self._reader)
        seen = torch.from_numpy(seen_now).float()
        with torch.no_grad():
            values, logits = self._network(self._network.scaled(seen))
            values = values * self._network.output_std + self._network.output_mean
        split = torch.split(values.double(), list(OUTPUTS.values()), dim=1)
        pos, rot6d, velocity, gripper, completion = (part.numpy() for part in split)
        payload = Payload.empty(len(ids), self.plan_shape)
        return replace(
            payload,
            subtask=logits.argmax(1).numpy(),
            goal_pos_w=(state[:, self._reader.tote] + pos)[:, None],
            goal_quat_wxyz=quat_from_rot6d(rot6d)[:, None],
            goal_vel_w=velocity[:, None],
            gripper=np.where(gripper > 0, 1.0, -1.0),
            completion=completion[:, 0],
        )


POLICY = policy_from_planner(LearnedPlanner)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    network = train(args.datasets, args.seed, args.steps)
    save_file(network.state_dict(), args.output)


if __name__ == "__main__":
    main()
