"""Joint training of planner and controller, end to end, with a random age of every
plan.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from embodied.core import SKILLS
from embodied.datasets.reader import Dataset, require_distinct
from embodied.errors import EmbodiedError
from embodied.policies.training.samples import Samples, load_samples, training_episodes
from embodied.policies.vla.network import DualSystemNet, NetConfig, Thought
from embodied.policies.vla.run_folder import RunFolder, RunInfo
from embodied.policies.vla.text import Vocabulary

GOAL_UNIT_M = 0.05  # a goal error of so much weighs as much as a wrong subtask
SPEED_UNIT_M_S = 0.05
CHUNK_BETA = 0.05  # below it action errors are squared
AGENT_NOISE = {
    "joint_pos": 0.06,
    "joint_vel": 0.1,
    "tcp_pos_w": 0.04,
    "tcp_rot6d": 0.03,
}
# In demonstrations the hand is nearly always where it should be. A planner that feels
# its hand exactly would say "here" instead of looking for the goal. of the draws; the
# others 1
SKILL_WEIGHT = {"reach": 3.0, "grasp": 3.0, "carry": 2.0, "place": 1.5, "release": 0.5}


@dataclass(frozen=True)
class TrainConfig:
    """How to train. The time limit is the wall clock's; the schedule follows it, so
    that every run cools down.
    """

    minutes: float = 5.0
    batch_size: int = 48  # plans
    ages_per_plan: int = 6  # moments after each plan at which the controller is trained
    max_age_s: float = 0.8
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    seed: int = 0
    cameras: tuple[str, ...] = ("overview",)
    jitter: float = 0.06  # of brightness and contrast
    # instead of the time limit, for a result that does not depend on the machine
    max_steps: int | None = None


@dataclass(frozen=True)
class Loss:
    """The parts of the loss, each a mean over the batch."""

    action: Tensor
    goal: Tensor
    rotation: Tensor
    speed: Tensor
    subtask: Tensor
    gripper: Tensor
    completion: Tensor
    gaze: Tensor

    def total(self) -> Tensor:
        aside = (
            self.rotation
            + self.speed
            + 0.5 * self.subtask
            + self.gripper
            + self.completion
        )
        return 4 * self.action + self.goal + 0.3 * aside + 0.2 * self.gaze


def train(
    datasets: Sequence[Path],
    run: Path,
    config: TrainConfig,
    on_step: Callable[[dict[str, Any]], None] | None = None,
    resume: bool = False,
) -> RunInfo:
    """Trains on masks `train` of some datasets and writes a run folder.

    `on_step` is told of the share done and the losses, about once a second. With
    `resume` an unfinished run goes on from its last checkpoint. Raises EmbodiedError
    for datasets that do not fit together, hold the same episodes, or lack pictures or
    plans.
    """
    torch.manual_seed(config.seed)
    metadata = _common_metadata(datasets)
    require_distinct(datasets)
    folder = RunFolder(run)
    data, held_out = _load(datasets, config)
    net = DualSystemNet(_net_config(data, metadata, config))
    net.fit_scales(data.agent_pos[data.step], data.goal_pos_w, data.goal_vel_w)
    info = RunInfo.of(net.config, metadata, datasets)
    trainer = _Trainer(net, data, held_out, config)
    if resume and folder.has_checkpoint():
        trainer.restore(folder)
    for row in trainer.run():
        folder.save(net, info, trainer.history, trainer.progress())
        if on_step is not None:
            on_step(row)
    folder.save(net, info, trainer.history, None)
    return info


def _common_metadata(datasets: Sequence[Path]) -> dict[str, Any]:
    headers = []
    for path in datasets:
        with Dataset(path) as dataset:
            recorded = dataset.header.metadata
            config = {
                name: recorded["config"][name] for name in ("control_hz", "image_size")
            }
            headers.append(
                {**recorded, **config, "planner_hz": dataset.header.planner_hz}
            )
    for path, header in zip(datasets, headers, strict=True):
        for key in (
            "task",
            "robot",
            "action_interface",
            "agent_layout",
            "control_hz",
            "image_size",
        ):
            if header[key] != headers[0][key]:
                raise EmbodiedError(
                    f"{path} differs from {datasets[0]} in {key}: {header[key]}, not {headers[0][key]}"
                )
    return headers[0]


def _load(datasets: Sequence[Path], config: TrainConfig) -> tuple[Samples, Samples]:
    history_s = NetConfig.history_s
    train_part, valid_part = training_episodes(datasets)
    return tuple(
        load_samples(part, config.cameras, history_s)
        for part in (train_part, valid_part)
    )  # type: ignore[return-value]


def _net_config(
    data: Samples, metadata: dict[str, Any], config: TrainConfig
) -> NetConfig:
    return NetConfig(
        words=Vocabulary.of(data.sentences).words,
        agent_parts=tuple((name, width) for name, width in metadata["agent_layout"]),
        cameras=config.cameras,
        action_size=data.action.shape[1],
        image_size=data.frames.shape[2],
    )


class _Trainer:
    """The optimiser's state over a run that may be cut and resumed."""

    def __init__(
        self, net: DualSystemNet, data: Samples, held_out: Samples, config: TrainConfig
    ) -> None:
        self.net = net
        self.data = data
        self.held_out = held_out
        self.config = config
        self.tokens = net.config.vocabulary.encode(data.sentences)
        self.held_out_tokens = net.config.vocabulary.encode(held_out.sentences)
        self.optimizer = torch.optim.AdamW(
            net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.weights = _weights(data)
        self.agent_noise = _agent_noise(net.config)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.history: list[dict[str, float]] = []
        self.step = 0
        self.seconds = 0.0

    def progress(self) -> dict[str, Any]:
        """What a checkpoint needs besides the weights."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }

    def restore(self, folder: RunFolder) -> None:
        """Continues from a checkpoint."""
        stored = folder.load_checkpoint(self.net)
        self.optimizer.load_state_dict(stored["optimizer"])
        self.step = int(stored["step"])
        self.seconds = float(stored["seconds"])
        self.history = stored["history"]
        self.generator.manual_seed(self.config.seed + self.step)

    def share(self) -> float:
        """How much of the run is done, in [0, 1]."""
        limit = self.config.max_steps
        done = (
            self.step / limit
            if limit is not None
            else self.seconds / (60 * self.config.minutes)
        )
        return min(1.0, done)

    def run(self) -> Iterator[dict[str, Any]]:
        """Trains until the end; yields a row of figures now and then."""
        self.net.train()
        start = time.monotonic() - self.seconds
        last_row = 0.0
        sums = []
        while self.share() < 1:
            self._set_rate()
            loss = self._step()
            sums.append(loss)
            self.step += 1
            self.seconds = time.monotonic() - start
            if self.share() >= 1 or self.share() >= last_row + 0.02:
                last_row = self.share()
                row = {
                    "step": self.step,
                    "seconds": self.seconds,
                    "share": self.share(),
                    **self.validate(),
                }
                row["train_loss"] = sum(sums) / len(sums)
                sums = []
                self.history.append(row)
                yield row

    def _set_rate(self) -> None:
        """A short warm-up, then a cosine to a hundredth."""
        share = self.share()
        factor = min(1.0, share / 0.03 + 0.02) * (
            0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2
        )
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * factor

    def _step(self) -> float:
        rows = torch.multinomial(
            self.weights,
            self.config.batch_size,
            replacement=True,
            generator=self.generator,
        )
        thought = self._think(self.data, self.tokens, rows, self.config.jitter)
        loss = _label_loss(
            self.data, rows, thought, self._action_loss(self.data, rows, thought)
        ).total()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        return float(loss.detach())

    def _think(
        self, data: Samples, tokens: Tensor, rows: Tensor, jitter: float
    ) -> Thought:
        images = torch.stack(
            [data.frames[data.then[rows]], data.frames[data.now[rows]]], dim=2
        )
        light = (
            torch.rand((len(rows), 2), generator=self.generator) * 2 - 1
            if jitter
            else torch.zeros(len(rows), 2)
        )
        light = light * torch.tensor([jitter, 2 * jitter]) + torch.tensor([1.0, 0.0])
        agent_pos = data.agent_pos[data.step[rows]]
        if jitter:
            agent_pos = agent_pos + self.agent_noise * torch.randn(
                agent_pos.shape, generator=self.generator
            )
        return self.net.planner(images, tokens[data.sentence[rows]], agent_pos, light)

    def _action_loss(self, data: Samples, rows: Tensor, thought: Thought) -> Tensor:
        """What the controller makes of the plan at random ages, against what the expert
        did then.
        """
        count = self.config.ages_per_plan
        chunk = self.net.config.chunk
        ages = (
            torch.rand((len(rows), count), generator=self.generator)
            * self.config.max_age_s
        )
        hz = data.control_hz
        step = torch.minimum(
            data.step[rows, None] + (ages * hz).long(), data.last_step[rows, None]
        )
        age_s = (step - data.frame_step[rows, None]) / hz
        steps = torch.minimum(
            step[..., None] + torch.arange(chunk), data.last_step[rows, None, None]
        )
        latent = thought.latent[:, None].expand(-1, count, -1).flatten(0, 1)
        predicted = self.net.controller(
            data.agent_pos[step].flatten(0, 1), latent, age_s.flatten()
        )
        return functional.smooth_l1_loss(
            predicted, data.action[steps].flatten(0, 1), beta=CHUNK_BETA
        )

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Figures on the held-out episodes: loss, goal error and share of subtasks
        right.
        """
        self.net.eval()
        data = self.held_out
        rows = torch.arange(0, len(data), max(1, len(data) // 384))
        thought = self._think(data, self.held_out_tokens, rows, jitter=0)
        loss = _label_loss(data, rows, thought, self._action_loss(data, rows, thought))
        distance = torch.linalg.norm(thought.goal_pos_w - data.goal_pos_w[rows], dim=1)
        right = (
            (thought.subtask_logits.argmax(dim=1) == data.subtask[rows]).float().mean()
        )
        self.net.train()
        return {
            "valid_loss": float(loss.total()),
            "valid_action_loss": float(loss.action),
            "goal_error_mm": 1000 * float(distance.median()),
            "goal_error_p90_mm": 1000 * float(distance.quantile(0.9)),
            "subtask_accuracy": float(right),
        }


def _label_loss(data: Samples, rows: Tensor, thought: Thought, action: Tensor) -> Loss:
    huber = functional.smooth_l1_loss
    return Loss(
        action=action,
        goal=huber(
            thought.goal_pos_w / GOAL_UNIT_M,
            data.goal_pos_w[rows] / GOAL_UNIT_M,
            beta=0.2,
        ),
        rotation=huber(thought.goal_rot6d, data.goal_rot6d[rows], beta=0.1),
        speed=huber(
            thought.goal_vel_w / SPEED_UNIT_M_S,
            data.goal_vel_w[rows] / SPEED_UNIT_M_S,
            beta=0.2,
        ),
        subtask=functional.cross_entropy(thought.subtask_logits, data.subtask[rows]),
        gripper=huber(thought.gripper, data.gripper[rows], beta=0.2),
        completion=huber(thought.completion, data.completion[rows], beta=0.1),
        gaze=_gaze_loss(thought.gaze, data.goal_view[rows]),
    )


def _gaze_loss(gaze: Tensor, view: Tensor) -> Tensor:
    """Cross-entropy of the gaze (n, cameras, cells) against the goal's place in view
    (n, cameras, 2), nan out of it.

    The place is spread over the four cells around it: a picture-sized label that
    teaches where to look much faster than a position in space does.
    """
    side = round(gaze.shape[2] ** 0.5)
    inside = torch.isfinite(view).all(dim=2)
    # (n, cameras, 2) row, column
    at = ((torch.nan_to_num(view) + 1) / 2 * side - 0.5).clamp(0, side - 1.001)
    low = at.floor().long()
    part = at - at.floor()
    loss = torch.zeros_like(inside, dtype=gaze.dtype)
    for row in (0, 1):
        for column in (0, 1):
            share = (part[..., 0] if row else 1 - part[..., 0]) * (
                part[..., 1] if column else 1 - part[..., 1]
            )
            cell = (low[..., 0] + row) * side + low[..., 1] + column
            loss = loss - share * gaze.gather(2, cell[..., None])[..., 0]
    return (loss * inside).sum() / inside.sum().clamp_min(1)


def _agent_noise(config: NetConfig) -> Tensor:
    """(P,) deviations of the noise on what the planner feels while it is trained."""
    return torch.tensor(
        [
            AGENT_NOISE.get(name, 0.0)
            for name, width in config.agent_parts
            for _ in range(width)
        ]
    )


def _weights(data: Samples) -> Tensor:
    """How often each plan is drawn: the skills that look for something, more than those
    that carry on.
    """
    count = torch.bincount(data.subtask, minlength=len(SKILLS)).clamp_min(1).float()
    weight = torch.ones(len(SKILLS))
    for skill, factor in SKILL_WEIGHT.items():
        weight[SKILLS.index(skill)] = factor
    return (weight / count)[data.subtask]
