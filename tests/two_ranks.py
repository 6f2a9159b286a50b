"""Trains on made-up demonstrations by two ranks: what tests/test_distributed.py starts.

`torchrun --nproc-per-node 2 -m tests.two_ranks WHAT FOLDER`, where WHAT is a function below.
Each rank leaves what it found in FOLDER/rank_<rank>.json.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from embodied.errors import EmbodiedError
from embodied.policies.checkpoint import tensors_as_bytes
from embodied.policies.training.batches import (
    Ages,
    BatchDataset,
    BatchRequests,
    agent_noise,
)
from embodied.policies.training.budget import Budget
from embodied.policies.training.distributed import ALONE, Ranks, joined_ranks
from embodied.policies.training.imitation import ImitationLearner
from embodied.policies.training.loss import joint_loss
from embodied.policies.training.run import Row, TrainingRun
from embodied.policies.training.samples import Samples
from tests.training import AGENT, CONFIG, make_learner, make_net, make_run, make_samples

CPU = torch.device("cpu")
STEPS = 6
BATCH_SIZE = 16


def samples_seldom_in_view() -> Samples:
    """Returns samples of which the first rank sees more goals in pictures than the other."""
    samples = make_samples(1)
    # a copy, since the goals' positions are in the same memory
    goal_view = samples.goal_view.clone()
    goal_view[::3] = torch.nan
    return replace(samples, goal_view=goal_view)


def gradients(ranks: Ranks) -> dict[str, Tensor]:
    """Returns the gradients of one batch, of which each rank computes its part."""
    samples = samples_seldom_in_view()
    net = make_net(samples)
    tokens = net.config.vocabulary.encode(samples.sentences)
    dataset = BatchDataset(samples, tokens, net.config.chunk)
    requests = BatchRequests(
        samples,
        noise=agent_noise(AGENT),
        batch_size=BATCH_SIZE,
        ages=Ages(per_plan=3, youngest_s=0.0, oldest_s=0.8),
        jitter=0.06,
        generator=torch.Generator().manual_seed(0),
    )

    request = next(iter(requests)).part(ranks.rank, ranks.size)
    loss, _ = joint_loss(net, dataset[request], ranks)
    loss.total().backward()  # type: ignore[no-untyped-call]
    ranks.average_gradients(net.parameters())
    return {
        name: parameter.grad.clone()
        for name, parameter in net.named_parameters()
        if parameter.grad is not None
    }


def largest_difference(these: dict[str, Tensor], those: dict[str, Tensor]) -> float:
    """Returns the largest difference of two sets of tensors, over their largest entry."""
    assert these.keys() == those.keys()
    differences = [float((these[name] - those[name]).abs().max()) for name in these]
    largest = max(float(value.abs().max()) for value in those.values())
    return max(differences) / largest


def digest(learner: ImitationLearner) -> str:
    """Returns text that two learners share only if their weights are equal bit for bit."""
    return hashlib.sha256(tensors_as_bytes(learner.weights())).hexdigest()


def training(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """Trains, then longer; rank 1 has another folder, as on another machine."""
    own = folder / f"run_{ranks.rank}"
    # networks differ until rank 1 takes over those of rank 0
    learner = make_learner()
    if not ranks.is_first:
        torch.nn.init.zeros_(learner.net.planner.heads.weight)
    make_run(own, learner, STEPS, ranks=ranks).train()
    found: dict[str, Any] = {"trained": digest(learner)}

    again = make_learner()
    make_run(folder / f"again_{ranks.rank}", again, STEPS, ranks=ranks).train()
    found["trained_again"] = digest(again)

    resumed = make_learner()
    make_run(own, resumed, STEPS + 2, ranks=ranks).train(resume=True)
    found["resumed"] = digest(resumed)
    found["resumed_steps"] = resumed.steps
    return found


def clocks(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """Trains for some seconds; the clock of rank 1 says that they are over already."""
    learner = make_learner()
    budget = Budget(minutes=0.02)
    run = TrainingRun(folder / "timed", learner, budget, CONFIG.identity(), ranks=ranks)
    if not ranks.is_first:
        run._earlier_s = 60.0
    run.train()
    return {"timed_steps": learner.steps, "timed": digest(learner)}


def ctrl_c(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """Presses Ctrl-C in rank 1 alone."""
    learner = make_learner()
    take_step = learner._step

    def step(batch: Any, ranks: Ranks) -> Tensor:
        if ranks.rank == 1 and learner.steps == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return take_step(batch, ranks)

    learner._step = step  # type: ignore[method-assign]
    try:
        make_run(folder / "stopped", learner, STEPS, ranks=ranks).train()
    except KeyboardInterrupt:
        return {"stopped_at": learner.steps}
    return {"stopped_at": None}


def everything(ranks: Ranks, folder: Path) -> dict[str, Any]:
    shared = gradients(ranks)
    return {
        "difference": largest_difference(shared, gradients(ALONE)),
        **training(ranks, folder),
        **clocks(ranks, folder),
        **ctrl_c(ranks, folder),
    }


def failure(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """Fails in rank 1, while rank 0 trains."""

    def fail(row: Row) -> None:
        raise EmbodiedError("rank 0 has come to the end")

    learner = make_learner()
    if not ranks.is_first:
        raise EmbodiedError("rank 1 has no disk")
    make_run(folder / "failed", learner, STEPS, on_row=fail, ranks=ranks).train()
    return {}


FUNCTIONS = {"everything": everything, "failure": failure}


def main(what: str, folder: Path) -> int:
    torch.set_num_threads(1)
    try:
        with joined_ranks(CPU) as ranks:
            found = FUNCTIONS[what](ranks, folder)
            path = folder / f"rank_{ranks.rank}.json"
            path.write_text(json.dumps(found))
    except EmbodiedError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
