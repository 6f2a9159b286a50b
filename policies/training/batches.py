"""Batches of demonstrations, read by the training process or by worker processes.

Everything random about a batch is sampled in the training process, from one generator;
workers only read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from embodied.core import SKILLS
from embodied.errors import EmbodiedError
from embodied.policies.training.samples import LABELS, Samples

# How often plans of a skill are sampled: more often if the skill has to find something
# than if it goes on with what is found. Skills not named here have weight 1.
SKILL_WEIGHT = {"reach": 3.0, "grasp": 3.0, "carry": 2.0, "place": 1.5, "release": 0.5}
# Standard deviations of the noise on the parts of the planner's proprioception; parts
# not named here get none. In demonstrations the hand is nearly always where it should
# be: a planner that knew its pose exactly would answer "here" instead of looking for
# the goal.
AGENT_NOISE = {
    "joint_pos": 0.06,  # rad
    "joint_vel": 0.1,  # rad/s
    "tcp_pos_w": 0.04,  # m
    "tcp_rot6d": 0.03,  # of entries of a rotation matrix
}


@dataclass(frozen=True)
class _Tensors:
    """Named tensors that move to a device together."""

    def to(self, device: torch.device) -> Self:
        # A copy from pinned memory need not be waited for.
        moved = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
        }
        return replace(self, **moved)

    def pin_memory(self) -> Self:
        """Returns copies that can be sent to a GPU while it computes."""
        pinned = {name: value.pin_memory() for name, value in vars(self).items()}
        return replace(self, **pinned)


@dataclass(frozen=True)
class BatchRequest(_Tensors):
    """Which n plans a batch is made of, and all that is random about it."""

    plans: Tensor  # (n,) rows of `Samples`
    light: Tensor  # (n, 2) factor and shift of the pixels, as if the light varied
    agent_noise: Tensor  # (n, P) added to the planner's proprioception
    # (n, ages) how long after the plan's time the controller is trained on it
    age_s: Tensor


@dataclass(frozen=True)
class Batch(_Tensors):
    """n plans, each followed at several ages."""

    # What the planner sees.
    light: Tensor  # (n, 2) factor and shift of the pixels
    images: Tensor  # (n, cameras, 2, H, W, 3) uint8, a while before the plan and then
    tokens: Tensor  # (n, words)
    planner_agent_pos: Tensor  # (n, P) at the plan's time, with noise
    # What it should say: the labels of `Samples`.
    subtask: Tensor  # (n,)
    goal_pos_w: Tensor  # (n, E, 3)
    goal_rot6d: Tensor  # (n, E, 6)
    goal_vel_w: Tensor  # (n, E, 3)
    gripper: Tensor  # (n, E)
    completion: Tensor  # (n,)
    base_goal_w: Tensor  # (n, B, 4)
    goal_view: Tensor  # (n, cameras, 2)
    # What the controller sees, and should do.
    age_s: Tensor  # (n, ages) since the plan's picture was taken
    agent_pos: Tensor  # (n, ages, P)
    action: Tensor  # (n, ages, chunk, A)


class BatchDataset(Dataset[Batch]):
    """A torch dataset whose items are whole batches, one for each request."""

    def __init__(self, samples: Samples, tokens: Tensor, chunk: int) -> None:
        self.samples = samples
        self.tokens = tokens  # (sentences, words)
        self._chunk = torch.arange(chunk)

    def __getitem__(self, request: BatchRequest) -> Batch:
        """Returns the batch of n plans that a request asks for."""
        samples = self.samples
        request = request.to(samples.step.device)
        plans = request.plans
        hz = samples.control_hz

        # What the planner sees: pictures of a while before the plan and of its time.
        images = [
            samples.frames.take(samples.then[plans]),
            samples.frames.take(samples.now[plans]),
        ]
        agent_pos = samples.agent_pos[samples.step[plans]]

        # Which control steps the controller is trained at, and those of each chunk of
        # actions from there. After the end of an episode its last step is repeated.
        end = samples.last_step[plans]
        step = samples.step[plans, None] + (request.age_s * hz).long()
        step = torch.minimum(step, end[:, None])  # (n, ages)
        ahead = step[..., None] + self._chunk.to(step.device)
        ahead = torch.minimum(ahead, end[:, None, None])  # (n, ages, chunk)

        return Batch(
            light=request.light,
            images=torch.stack(images, dim=2),
            tokens=self.tokens[samples.sentence[plans]],
            planner_agent_pos=agent_pos + request.agent_noise,
            # The age counts from the plan's picture, which may be older than the plan.
            age_s=(step - samples.frame_step[plans, None]) / hz,
            agent_pos=samples.agent_pos[step],
            action=samples.action[ahead],
            **{name: getattr(samples, name)[plans] for name in LABELS},
        )


class BatchRequests:
    """Samples the requests of a training's batches, without end."""

    def __init__(
        self,
        samples: Samples,
        noise: Tensor,
        batch_size: int,
        ages_per_plan: int,
        ages_s: tuple[float, float],
        jitter: float,
        generator: torch.Generator,
    ) -> None:
        """Prepares to sample.

        Args:
            samples: The plans to sample from.
            noise: (P,) standard deviations of the noise on the planner's proprioception.
            batch_size: How many plans a batch has.
            ages_per_plan: At how many moments after each plan the controller is
                trained.
            ages_s: The earliest and the latest such moment, counted from the plan.
            jitter: By how much the pixels' factor differs from 1 at most. Their shift
                differs from 0 by up to twice as much.
            generator: Of all random numbers.
        """
        self._weights = plan_weights(samples.subtask, samples.weight)
        self._noise = noise
        self._batch_size = batch_size
        self._ages = ages_per_plan
        self._ages_s = ages_s
        self._light_range = torch.tensor([jitter, 2 * jitter])  # of factor and shift
        self._generator = generator

    def __iter__(self) -> Iterator[BatchRequest]:
        n = self._batch_size
        generator = self._generator
        while True:
            plans = torch.multinomial(
                self._weights, n, replacement=True, generator=generator
            )
            light = torch.rand((n, 2), generator=generator) * 2 - 1  # in [-1, 1]
            noise = torch.randn((n, len(self._noise)), generator=generator)
            # Factors are around 1, shifts around 0.
            yield BatchRequest(
                plans=plans,
                light=light * self._light_range + torch.tensor([1.0, 0.0]),
                agent_noise=self._noise * noise,
                age_s=self._sample_ages(n),
            )

    def undisturbed(self, count: int) -> BatchRequest:
        """Returns a request for the first `count` plans, without noise or jitter.

        The ages are random.
        """
        return BatchRequest(
            plans=torch.arange(count),
            light=torch.tensor([1.0, 0.0]).expand(count, 2),
            agent_noise=torch.zeros(count, len(self._noise)),
            age_s=self._sample_ages(count),
        )

    def _sample_ages(self, n: int) -> Tensor:
        """Returns ages (n, ages) in s, uniform from the smallest to the greatest."""
        uniform = torch.rand((n, self._ages), generator=self._generator)
        low, high = self._ages_s
        return low + uniform * (high - low)


def plan_weights(subtask: Tensor, weight: Tensor) -> Tensor:
    """Returns the relative frequencies (k,) at which plans are sampled.

    Skills are sampled by their weight, however many plans each of them has. Within a
    skill, plans are sampled by their own.

    Args:
        subtask: (k,) index into SKILLS of each plan.
        weight: (k,) of each plan.

    Raises:
        EmbodiedError: no plan has a weight above 0.
    """
    if not (weight > 0).any():
        raise EmbodiedError(
            "no plan is left to learn from: with these weights of take-overs and of what "
            "the policy drove, all are left out"
        )
    # The plans of each skill, counted by their weights. A skill without any has no plan
    # to sample; its 1 keeps the division below from 0 / 0.
    num_plans = torch.bincount(subtask, weight, minlength=len(SKILLS))
    num_plans = torch.where(num_plans > 0, num_plans, 1.0)

    skill_weight = torch.ones(len(SKILLS))
    for skill, factor in SKILL_WEIGHT.items():
        skill_weight[SKILLS.index(skill)] = factor
    return (skill_weight / num_plans)[subtask] * weight


def agent_noise(agent_parts: tuple[tuple[str, int], ...]) -> Tensor:
    """Returns the standard deviations (P,) of the noise on the parts of `agent_pos`."""
    deviations = []
    for name, width in agent_parts:
        # names of robots with several hands have prefixes, such as left_tcp_pos_w
        noise = [value for end, value in AGENT_NOISE.items() if name.endswith(end)]
        deviations += [noise[0] if noise else 0.0] * width
    return torch.tensor(deviations)


def load_batches(
    dataset: BatchDataset, requests: BatchRequests, workers: int, pin_memory: bool
) -> Iterator[Batch]:
    """Yields a batch for each of the requests.

    Args:
        dataset: What is read from.
        requests: Of the batches, without end.
        workers: How many processes read; 0 for this process alone.
        pin_memory: Whether workers' batches can be sent to a GPU while it computes.
    """
    # Processes are spawned: a fork would carry over the state of HDF5, GL and CUDA.
    loader = DataLoader(
        dataset,
        sampler=requests,  # what `BatchDataset` is indexed with
        batch_size=None,  # an item is a batch already
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        pin_memory=pin_memory and workers > 0,
    )
    return iter(loader)
