"""Batches of demonstrations, read by the training process or by worker processes.

All random numbers of a batch are sampled in the training process, from one generator.
Workers only read, so the same seed gives the same weights with any number of workers.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from embodied.core import SKILLS
from embodied.errors import EmbodiedError
from embodied.policies.training.distributed import ALONE, Ranks
from embodied.policies.training.samples import LABELS, Samples

# Relative frequencies at which plans of each skill are sampled; 1 for other skills. Skills
# that must find something in the image are harder to learn, so they have more weight.
SKILL_WEIGHT = {"reach": 3.0, "grasp": 3.0, "carry": 2.0, "place": 1.5, "release": 0.5}
# Standard deviations of the noise on parts of the planner's proprioception; 0 for other
# parts. In demonstrations the hand is nearly always where it should be. Without noise, a
# planner would learn to give the hand's own pose as the goal, and to ignore the images.
AGENT_NOISE = {
    "joint_pos": 0.06,  # rad
    "joint_vel": 0.1,  # rad/s
    "tcp_pos_w": 0.04,  # m
    "tcp_rot6d": 0.03,  # of entries of a rotation matrix
}
# The seed of the ages in batches for validation, in every training.
UNDISTURBED_SEED = 0


@dataclass(frozen=True)
class _Tensors:
    """Named tensors that are moved to a device together."""

    def to(self, device: torch.device) -> Self:
        """Returns copies of the tensors on a device."""
        # non_blocking: copies from pinned memory to a GPU run in the background
        moved = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
        }
        return replace(self, **moved)

    def pin_memory(self) -> Self:
        """Returns copies in pinned memory, which a GPU can read while it computes."""
        pinned = {name: value.pin_memory() for name, value in vars(self).items()}
        return replace(self, **pinned)


@dataclass(frozen=True)
class BatchRequest(_Tensors):
    """Which n plans are in a batch, and all random numbers that the batch needs."""

    plans: Tensor  # (n,) rows of plans in `Samples`
    # (n, 2) the factor and the offset of all pixels of a plan's images: they simulate other
    # light
    light: Tensor
    agent_noise: Tensor  # (n, P) noise that is added to the planner's proprioception
    # (n, ages) times after the plan at which the controller is trained
    age_s: Tensor
    # random numbers for the action head of a single system, see `Draws`; (n, 0, 0) and 0 if
    # it needs none
    head_noise: Tensor  # (n, H, A)
    head_uniform: Tensor  # (n,)

    def part(self, rank: int, ranks: int) -> BatchRequest:
        """Returns the request for the part of a batch that one of several ranks computes."""
        if ranks == 1:
            return self
        rows = len(self.plans) // ranks
        own = slice(rank * rows, (rank + 1) * rows)
        return BatchRequest(**{name: value[own] for name, value in vars(self).items()})


@dataclass(frozen=True)
class Batch(_Tensors):
    """n plans, and for each plan several control steps at which the controller follows it.

    For a single system there is one such step, that of the plan, and `action` is the chunk
    of the plan, from its image on.

    P is the size of the proprioception, A of an action; E and B are the numbers of
    effectors and of moving bases.
    """

    # inputs of the planner
    light: Tensor  # (n, 2) factor and offset of the pixels
    images: Tensor  # (n, cameras, 2, H, W, 3) uint8, earlier and at the plan's time
    tokens: Tensor  # (n, words) the words of the instruction, as indices
    planner_agent_pos: Tensor  # (n, P) at the plan's time, with noise
    # labels of the planner, as in `Samples`
    subtask: Tensor  # (n,)
    goal_pos_w: Tensor  # (n, E, 3)
    goal_rot6d: Tensor  # (n, E, 6)
    goal_vel_w: Tensor  # (n, E, 3)
    gripper: Tensor  # (n, E)
    completion: Tensor  # (n,)
    base_goal_w: Tensor  # (n, B, 4)
    goal_view: Tensor  # (n, cameras, 2)
    # inputs and label of the controller
    age_s: Tensor  # (n, ages) time since the capture of the plan's image
    agent_pos: Tensor  # (n, ages, P)
    action: Tensor  # (n, ages, chunk, A) the label
    # random numbers for an action head, as in `BatchRequest`
    head_noise: Tensor  # (n, H, A)
    head_uniform: Tensor  # (n,)


class BatchDataset(Dataset[Batch]):
    """A torch dataset whose items are whole batches, indexed by requests."""

    def __init__(
        self,
        samples: Samples,
        tokens: Tensor,
        chunk: int,
        chunk_hz: float | None = None,
    ) -> None:
        """Keeps the samples that batches are made of.

        Args:
            samples: the plans, images and control steps.
            tokens: (sentences, words) the tokens of each of the samples' sentences.
            chunk: the number of actions in a chunk.
            chunk_hz: the rate of the actions of a chunk that is part of a plan, and begins
                when the plan's image was captured; None for chunks of a controller, which
                begin at the control steps at which it acts, and have an action for each
                step from there on.
        """
        self.samples = samples
        self.tokens = tokens
        self._of_plans = chunk_hz is not None
        # the control steps of a chunk, from its beginning
        steps_per_row = 1.0 if chunk_hz is None else samples.control_hz / chunk_hz
        self._chunk_offsets = (torch.arange(chunk) * steps_per_row).round().long()

    def __getitem__(self, request: BatchRequest) -> Batch:
        """Returns the batch of observations and targets that a request describes."""
        samples = self.samples
        request = request.to(samples.step.device)
        plans = request.plans
        control_hz = samples.control_hz

        # inputs of the planner: earlier images, and the newest images at the plan's time
        images = [
            samples.frames.take(samples.earlier_frame[plans]),
            samples.frames.take(samples.newest_frame[plans]),
        ]
        agent_pos = samples.agent_pos[samples.step[plans]]

        # The control steps at which the controller is trained, and the steps of the
        # action chunk from each of them on. Beyond the episode's end, the last step is
        # repeated.
        last_step = samples.last_step[plans]
        step = samples.step[plans, None] + (request.age_s * control_hz).long()
        step = torch.minimum(step, last_step[:, None])  # (n, ages)
        first_step = samples.frame_step[plans, None] if self._of_plans else step
        chunk_step = first_step[..., None] + self._chunk_offsets.to(step.device)
        chunk_step = torch.minimum(chunk_step, last_step[:, None, None])

        return Batch(
            light=request.light,
            images=torch.stack(images, dim=2),
            tokens=self.tokens[samples.sentence[plans]],
            planner_agent_pos=agent_pos + request.agent_noise,
            # a plan's age counts from its image, which may be older than the plan
            age_s=(step - samples.frame_step[plans, None]) / control_hz,
            agent_pos=samples.agent_pos[step],
            action=samples.action[chunk_step],  # (n, ages, chunk, A)
            head_noise=request.head_noise,
            head_uniform=request.head_uniform,
            **{name: getattr(samples, name)[plans] for name in LABELS},
        )


@dataclass(frozen=True)
class Ages:
    """The ages of plans in training, uniform from the youngest to the oldest.

    Attributes:
        per_plan: the number of ages at which the controller is trained for each plan.
    """

    per_plan: int
    youngest_s: float
    oldest_s: float


class BatchRequests:
    """Random requests for batches, as an endless iterator."""

    def __init__(
        self,
        samples: Samples,
        noise: Tensor,
        batch_size: int,
        ages: Ages,
        jitter: float,
        generator: torch.Generator,
        noise_shape: tuple[int, int] = (0, 0),
    ) -> None:
        """Prepares to sample requests.

        Args:
            samples: the plans to sample from.
            noise: (P,) standard deviations of the noise on the planner's proprioception.
            batch_size: the number of plans per batch.
            ages: the ages of the plans.
            jitter: largest difference of the pixels' factor from 1. Their offset is up
                to twice as large.
            generator: the generator of all random numbers of batches for training.
            noise_shape: (H, A), the shape of a chunk, for an action head that draws noise.
        """
        self._weights = plan_weights(samples.subtask, samples.weight)
        self._noise = noise
        self._batch_size = batch_size
        self._ages = ages
        # the largest changes of the pixels' factor and offset
        self._light_range = torch.tensor([jitter, 2 * jitter])
        self._generator = generator
        self._noise_shape = noise_shape

    def __iter__(self) -> Iterator[BatchRequest]:
        """Yields requests: random plans, and the augmentation of their observations."""
        n = self._batch_size
        generator = self._generator
        while True:
            # with replacement: a batch may be larger than a small dataset
            plans = torch.multinomial(
                self._weights, n, replacement=True, generator=generator
            )
            # the pixels' factors are random around 1, their offsets around 0
            light = torch.rand((n, 2), generator=generator) * 2 - 1  # in [-1, 1]
            noise = torch.randn((n, len(self._noise)), generator=generator)
            yield BatchRequest(
                plans=plans,
                light=light * self._light_range + torch.tensor([1.0, 0.0]),
                agent_noise=self._noise * noise,
                age_s=self._sample_ages(n, generator),
                **self._head_draws(n, generator),
            )

    def undisturbed(self, count: int) -> BatchRequest:
        """Returns a request for the first `count` plans, without noise and jitter.

        Ages and the noise of heads are random all the same, but equal in all calls. They
        are sampled apart from those of the batches: workers fetch batches ahead, so how many
        were requested before a call depends on the number of workers.
        """
        generator = torch.Generator().manual_seed(UNDISTURBED_SEED)
        return BatchRequest(
            plans=torch.arange(count),
            light=torch.tensor([1.0, 0.0]).expand(count, 2),  # factor 1, offset 0
            agent_noise=torch.zeros(count, len(self._noise)),
            age_s=self._sample_ages(count, generator),
            **self._head_draws(count, generator),
        )

    def _sample_ages(self, n: int, generator: torch.Generator) -> Tensor:
        """Samples ages (n, ages) in s."""
        ages = self._ages
        uniform = torch.rand((n, ages.per_plan), generator=generator)
        return ages.youngest_s + uniform * (ages.oldest_s - ages.youngest_s)

    def _head_draws(self, n: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Returns the random numbers for an action head, by their names in `BatchRequest`."""
        noise_shape = (n, *self._noise_shape)
        # nothing is drawn for nobody, so that other trainings keep their random numbers
        if 0 in noise_shape:
            return {
                "head_noise": torch.zeros(noise_shape),
                "head_uniform": torch.zeros(n),
            }
        return {
            "head_noise": torch.randn(noise_shape, generator=generator),
            "head_uniform": torch.rand(n, generator=generator),
        }


def plan_weights(subtask: Tensor, weight: Tensor) -> Tensor:
    """Returns the relative frequencies (k,) at which plans are sampled.

    A skill is sampled in proportion to its SKILL_WEIGHT, whatever its number of plans.
    Within a skill, plans are sampled in proportion to their own weights.

    Args:
        subtask: (k,) the skill of each plan, an index into SKILLS.
        weight: (k,) the weight of each plan.

    Raises:
        EmbodiedError: no plan has a weight above 0.
    """
    if not (weight > 0).any():
        raise EmbodiedError(
            "no plan is left to learn from: the weights of take-overs and of shadow "
            "plans leave all of them out"
        )
    # (skills,) the sum of the weights of each skill's plans; 1 for a skill without plans, to
    # avoid 0 / 0
    skill_total = torch.bincount(subtask, weight, minlength=len(SKILLS))
    skill_total = torch.where(skill_total > 0, skill_total, 1.0)

    skill_weight = torch.ones(len(SKILLS))
    for skill, frequency in SKILL_WEIGHT.items():
        skill_weight[SKILLS.index(skill)] = frequency
    return (skill_weight / skill_total)[subtask] * weight


def agent_noise(agent_parts: tuple[tuple[str, int], ...]) -> Tensor:
    """Returns the standard deviations (P,) of the noise on proprioception.

    Args:
        agent_parts: (name, width) of each part of the proprioception.
    """
    deviations: list[float] = []
    for name, width in agent_parts:
        deviation = 0.0
        for suffix, value in AGENT_NOISE.items():
            # a robot with several hands has prefixes, such as left_tcp_pos_w
            if name.endswith(suffix):
                deviation = value
        deviations += [deviation] * width
    return torch.tensor(deviations)


def load_batches(
    dataset: BatchDataset,
    requests: BatchRequests,
    workers: int,
    pin_memory: bool,
    ranks: Ranks = ALONE,
) -> Iterator[Batch]:
    """Returns an endless iterator over batches.

    Args:
        dataset: the dataset to read from.
        requests: the requests, one for each batch.
        workers: the number of processes that read; 0 for this process.
        pin_memory: whether to put the workers' batches in pinned memory, which a GPU can
            read while it computes.
        ranks: the processes that share batches. Each must have the same requests, and gets
            its own part of each batch.
    """
    parts = (request.part(ranks.rank, ranks.size) for request in requests)
    # workers are spawned, because a fork would inherit the state of HDF5, GL and CUDA,
    # which those libraries don't survive
    loader = DataLoader(
        dataset,
        sampler=parts,  # `BatchDataset` is indexed by requests
        batch_size=None,  # an item is a batch already
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        pin_memory=pin_memory and workers > 0,
        worker_init_fn=_ignore_ctrl_c if workers else None,
    )
    return iter(loader)


def _ignore_ctrl_c(worker: int) -> None:
    """Lets the training process decide, in a worker, when Ctrl-C ends both."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
