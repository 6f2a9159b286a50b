"""Imitation learning: training planner and controller end to end on demonstrations.

The controller is trained on each plan at random ages, so that it learns to follow plans
that arrive late.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from embodied.datasets.reader import require_distinct
from embodied.policies.checkpoint import (
    join_parts,
    optimizer_state,
    optimizer_tensors,
    split_parts,
)
from embodied.policies.training.batches import Batch, load_batches
from embodied.policies.training.common_metadata import (
    common_metadata,
    require_start_fits,
)
from embodied.policies.training.config import ImitationConfig
from embodied.policies.training.distributed import ALONE, Ranks, device_of_rank
from embodied.policies.training.loading import load_demonstrations, reading_workers
from embodied.policies.training.resume import has_work_left
from embodied.policies.training.run import OnRow, TrainingRun
from embodied.policies.training.samples import Samples
from embodied.policies.training.systems import (
    SystemNet,
    batch_dataset,
    batch_loss,
    batch_requests,
    first_net,
    head_config,
)
from embodied.policies.vla.run_folder import RunInfo
from embodied.seeding import later_seed
from embodied.torchrun import this_launch

# Validation uses at least this many held-out plans, and fewer than twice as many.
VALIDATION_PLANS = 384
ROW_EVERY_SHARE = 0.02  # share of the budget between two rows of figures
# The learning rate rises from FIRST_RATE during the first WARM_UP_SHARE of the budget, then
# falls to LAST_RATE. Both rates are shares of the configured rate.
WARM_UP_SHARE = 0.03
FIRST_RATE = 0.02
LAST_RATE = 0.01
# The configured learning rate is multiplied by this for a training that starts from a run,
# so that the training does not undo what the run has learned.
LATER_RATE = 0.25


def train_imitation(
    config: ImitationConfig,
    folder: Path,
    on_row: OnRow | None = None,
    resume: bool = False,
    ranks: Ranks = ALONE,
) -> None:
    """Trains on the mask `train` of some datasets, and writes a run folder.

    Args:
        config: the settings.
        folder: the folder of the run.
        on_row: a function that is called with each row of figures.
        resume: whether to continue from the last checkpoint. A run that has already spent
            this budget is left as it is.
        ranks: the processes that train together, from `joined_ranks`. Each calls this
            function with the same config.

    Raises:
        EmbodiedError: there is no such device; the datasets differ in more than their
            tasks, or have episodes in common; they have no images or plans; or the ranks
            cannot share a batch equally.
    """
    ranks.require_equal_parts(config.batch_size)
    if ranks.agreed(is_spent(config, folder, resume, ranks)):
        return

    device = device_of_rank(config.device)
    metadata, tasks = common_metadata(config.datasets)
    require_distinct(config.datasets)
    workers = reading_workers(config, device, this_launch().local_ranks)
    samples, held_out = load_demonstrations(
        config,
        in_memory=workers == 0,  # workers read from disk
        quiet=not ranks.is_first,
    )

    torch.manual_seed(config.seed)
    require_start_fits(config, metadata, tasks)
    net = first_net(config, metadata, samples)
    info = RunInfo.of(
        net.config, metadata, tasks, config.datasets, head=head_config(net)
    )
    learner = ImitationLearner(
        net, samples, held_out, config=config, info=info, device=device, workers=workers
    )
    run = TrainingRun(
        folder, learner, config.budget, config.identity(), on_row=on_row, ranks=ranks
    )
    run.train(resume)


def is_spent(
    config: ImitationConfig, folder: Path, resume: bool, ranks: Ranks = ALONE
) -> bool:
    """Returns whether the run to resume has spent its budget, as far as this rank knows.

    Only rank 0 looks into the folder, which another machine may not have.
    """
    if not resume or not ranks.is_first:
        return False
    return not has_work_left(folder, config.identity(), config.budget)


class ImitationLearner:
    """The `Learner` that trains the dual system, or a single system."""

    packages: tuple[str, ...] = ("torch",)

    def __init__(
        self,
        net: SystemNet,
        samples: Samples,
        held_out: Samples,
        config: ImitationConfig,
        info: RunInfo,
        device: torch.device | None = None,
        workers: int = 0,
    ) -> None:
        """Moves networks and samples to the device.

        Args:
            net: the networks, with their normalisation fitted.
            samples: the samples for training.
            held_out: the samples for validation.
            config: the settings.
            info: the description of the policy, for the run folder.
            device: the device to train on; the CPU by default.
            workers: the number of processes that read batches; 0 for this process.
        """
        self.net = net.to(device or "cpu")
        self.device = device or torch.device("cpu")
        self.steps = 0
        self._config = config
        self._info = info
        self._workers = workers
        self.optimizer = torch.optim.AdamW(
            net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        # the peak of the learning rate's schedule
        self._peak_rate = config.learning_rate
        if config.start is not None:
            self._peak_rate *= LATER_RATE

        self._generator = torch.Generator().manual_seed(config.seed)
        self._requests = batch_requests(net, samples, config, self._generator)

        held_out = held_out.thinned(VALIDATION_PLANS).to(self.device)
        self._held_out = batch_dataset(net, held_out)
        # workers make batches in the CPU's memory, and `_step` moves each to the device
        self._train = batch_dataset(
            net, samples if workers else samples.to(self.device)
        )

    def train(self, run: TrainingRun) -> None:
        """Trains until the budget is spent, with a checkpoint at each row of figures."""
        self.net.train()
        batches = load_batches(
            self._train,
            self._requests,
            self._workers,
            pin_memory=self.device.type == "cuda",
            ranks=run.ranks,
        )
        row_share = 0.0  # share of the budget that was spent at the last row of figures
        losses: list[Tensor] = []  # of the updates since then, on the device
        share = run.share()
        while share < 1:
            self._set_learning_rate(share)
            losses.append(self._step(next(batches), run.ranks))
            self.steps += 1

            share = run.share()
            if share >= 1 or share >= row_share + ROW_EVERY_SHARE:
                row_share = share
                train_loss = run.ranks.mean(torch.stack(losses).mean())
                losses = []
                # the other ranks wait for rank 0 meanwhile
                figures = self.validate() if run.ranks.is_first else {}
                figures["train_loss"] = float(train_loss)
                figures["passes"] = self._passes()
                run.add_row(share, figures)
                run.save_checkpoint()

    def _passes(self) -> float:
        """Returns the mean number of times that each training plan was used."""
        plans = len(self._train.samples)
        return round(self.steps * self._config.batch_size / plans, 3)

    def _set_learning_rate(self, share: float) -> None:
        """Sets the learning rate: a linear warm-up, then half a cosine.

        Args:
            share: the share of the budget that is spent, in [0, 1].
        """
        warm_up = min(1.0, share / WARM_UP_SHARE + FIRST_RATE)  # from FIRST_RATE to 1
        cosine = (1 + math.cos(math.pi * share)) / 2  # from 1 to 0
        factor = warm_up * (LAST_RATE + (1 - LAST_RATE) * cosine)
        for group in self.optimizer.param_groups:
            group["lr"] = self._peak_rate * factor

    def _step(self, batch: Batch, ranks: Ranks) -> Tensor:
        """Updates the networks once; returns the total loss, a scalar on the device.

        With several ranks, `batch` is this rank's part of a batch, and the loss, too.
        """
        loss, _ = batch_loss(self.net, batch.to(self.device), ranks)
        total = loss.total()

        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        ranks.average_gradients(self.net.parameters())
        # a norm of at most 1, so that one odd batch can't spoil the networks
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        return total.detach()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Returns the figures of the networks on episodes that are held out from training."""
        self.net.eval()
        request = self._requests.undisturbed(len(self._held_out.samples))
        batch = self._held_out[request]
        loss, output = batch_loss(self.net, batch)
        self.net.train()

        # a plan's goal error is the error of its worst effector
        offset_m = output.goal_pos_w - batch.goal_pos_w  # (n, E, 3)
        error_m = torch.linalg.norm(offset_m, dim=2).amax(dim=1)  # (n,)
        is_right = output.subtask_logits.argmax(dim=1) == batch.subtask
        return {
            "valid_loss": float(loss.total()),
            "valid_action_loss": float(loss.action),
            "goal_error_mm": 1000 * float(error_m.median()),
            "goal_error_p90_mm": 1000 * float(error_m.quantile(0.9)),
            "subtask_accuracy": float(is_right.float().mean()),
        }

    def weights(self) -> Mapping[str, Tensor]:
        return self.net.state_dict()

    def info(self) -> dict[str, Any]:
        return self._info.to_json()

    def checkpoint(self) -> Mapping[str, Tensor]:
        """Returns all tensors that `restore` needs to continue the training, by name."""
        return join_parts(
            {
                "net": self.net.state_dict(),
                "optimizer": optimizer_tensors(self.optimizer.state_dict()),
                "progress": {"steps": torch.tensor(self.steps)},
            }
        )

    def restore(self, stored: Mapping[str, Tensor]) -> None:
        """Restores networks, optimiser and steps; random numbers continue from a new seed."""
        parts = split_parts(stored)
        self.net.load_state_dict(parts["net"])
        # A checkpoint holds tensors only. The optimiser's other settings follow from the
        # config, which is the same in a resumed training.
        groups = self.optimizer.state_dict()["param_groups"]
        # before the first step, the optimiser has no tensors
        optimizer = parts.get("optimizer", {})
        self.optimizer.load_state_dict(optimizer_state(optimizer, groups))
        self.steps = int(parts["progress"]["steps"])

        # A checkpoint holds no state of the generator. The generator's first seed would draw
        # the same batches again, so its new seed depends on the steps.
        self._generator.manual_seed(later_seed(self._config.seed, self.steps))
