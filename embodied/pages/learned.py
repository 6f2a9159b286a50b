"""What policies learn: rows of the survey on runs that `embodied eval` has measured."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embodied.benchmark.results import Cell, Condition, Provenance, summarize
from embodied.benchmark.results_file import read_results
from embodied.benchmark.statistics import Rate
from embodied.datasets.reader import Dataset
from embodied.errors import EmbodiedError
from embodied.pages.ledger import FLAGS_OF_A_RUN
from embodied.pages.subject import Pair, Subject
from embodied.policies.run_folder import read_history, read_info, weights_hash

IMITATION = "imitation"  # the method of runs that were trained on datasets
LearnedKey = tuple[str, str, str, str]  # (task, robot, method, stage)


@dataclass(frozen=True)
class LearnedSuccess:
    """The success of a policy that was trained for a task, or for a stage of it."""

    subject: Subject
    method: str  # IMITATION, or an algorithm of reinforcement learning
    stage: str  # the stage that was learned and evaluated; "" for the whole task
    level: str  # the level of the evaluation
    cameras: tuple[str, ...]  # that the policy sees; () if it gets the privileged state
    demonstrations: int  # episodes to learn from
    source: str  # of the demonstrations, in words: "by expert"; "" if there are none
    steps: int  # of the training
    processor_s: float  # processor time of the training
    first_seed: int
    rate: Rate  # rate of success at the end
    rate_once: Rate  # rate of success at any time, for as long as success must hold
    progress: float  # the mean over episodes of the highest progress in the whole task
    commands: tuple[str, ...]  # that trained the policy and evaluated it

    @property
    def pair(self) -> Pair:
        return self.subject.pair

    @property
    def key(self) -> LearnedKey:
        return (*self.pair, self.method, self.stage)


def read_learned(path: Path) -> list[LearnedSuccess]:
    """Returns a row for each policy in a file that `embodied eval` wrote.

    The paths of run folders in it, and of datasets in these, are relative to the current
    folder, as they were for the commands that wrote them.

    Raises:
        EmbodiedError: a file is missing or damaged; a policy is not a run folder, or was
            trained since; or it was measured with held-out values, or with plans that are
            delayed or lost.
    """
    results = read_results(path)
    return [_row(cell, results.provenance, path) for cell in results.cells]


def _row(cell: Cell, provenance: Provenance, path: Path) -> LearnedSuccess:
    """Returns the row of a cell; `path` is the results file, for errors."""
    condition = cell.condition
    _require_plain(condition, path)

    # the run must still be the one that was evaluated
    folder = Path(condition.policy)
    info = read_info(folder)
    if weights_hash(folder) != condition.weights:
        raise EmbodiedError(
            f"{folder} was trained since {path} was written: evaluate it again"
        )
    last = read_history(folder)[-1]
    if "processor_s" not in last:
        raise EmbodiedError(
            f"{folder} does not say how much processor time its training took: train it "
            "with this version"
        )

    method, demonstrations, source = _teaching(info)
    summary = summarize(cell)
    name = condition.task_with_robot
    return LearnedSuccess(
        subject=Subject(
            task=condition.task,
            robot=condition.robot,
            code_hash=provenance.code[name],
            model_hash=provenance.models[name],
            versions=dict(provenance.metadata["versions"]),
        ),
        method=method,
        stage=condition.stage,
        level=condition.level,
        cameras=tuple(info["spec"]["cameras"]),
        demonstrations=demonstrations,
        source=source,
        steps=int(last["steps"]),
        processor_s=last["processor_s"],
        first_seed=condition.first_seed,
        rate=summary.success_at_end,
        rate_once=summary.success_once,
        progress=summary.progress_mean,
        commands=(_plain_command(info["command"]), _plain_command(provenance.command)),
    )


def _require_plain(condition: Condition, path: Path) -> None:
    """Raises EmbodiedError unless values are of training, and plans arrive at once."""
    is_late = condition.delay_ms > 0 or condition.drop_rate > 0
    if condition.split != "train" or is_late or condition.interruptions:
        raise EmbodiedError(
            f"{path} was measured with held-out values, or with plans that are delayed or "
            "lost: the page has figures without these, so evaluate without these flags"
        )


def _teaching(info: Mapping[str, Any]) -> tuple[str, int, str]:
    """Returns the method of a run, its number of demonstrations, and their source."""
    training = info["training"]
    if training["method"] == IMITATION:
        paths = [Path(name) for name in info["datasets"]]
        return (IMITATION, *_demonstrations(paths))

    # reinforcement learning can replay demonstrations
    count = training["demonstrations"]
    source = f"by {training['base'] or 'expert'}" if count else ""
    return training["algorithm"], count, source


def _demonstrations(paths: Sequence[Path]) -> tuple[int, str]:
    """Returns the number of episodes to train on in some datasets, and their source."""
    count = 0
    sources = []
    for path in paths:
        with Dataset(path) as dataset:
            header = dataset.header
            count += len(dataset.mask("train"))
            sources.append(
                f"of {len(dataset)} by {header.policy}, "
                f"{header.metadata['config']['level']}, {header.record_hz} frames and "
                f"{header.planner_hz or 0:g} plans per second"
            )
    return count, "; ".join(sources)


def _plain_command(line: str) -> str:
    """Returns a command without the flags that do not affect its result."""
    words = [word for word in shlex.split(line) if word not in FLAGS_OF_A_RUN]
    return shlex.join(words)
