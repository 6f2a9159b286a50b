"""`embodied eval --reproduce`: measures a results file again, and compares."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from embodied.benchmark.codec import encode
from embodied.benchmark.evaluation import measure
from embodied.benchmark.results import Cell, Provenance
from embodied.benchmark.results_file import read_results
from embodied.benchmark.trials import TaskChoice, Trial, plan_trials
from embodied.cli import arguments
from embodied.cli.parser import LineParser
from embodied.cli.progress import stages
from embodied.cli.timing import add_timing, chosen_timings
from embodied.envs.models import choose_robot
from embodied.envs.own_tasks import is_place, typed_task
from embodied.envs.registry import get_task
from embodied.errors import EmbodiedError
from embodied.policies.registry import BUILT_IN, policy_summaries
from embodied.rollout.rollout import EpisodeResult
from embodied.wording import counted

RESULTS = "results.json"
# flags that cannot be given, because the file determines what is measured
SET_BY_FILE = (
    "suite",
    "until",
    "against",
    "shift",
    "shard",
    "seed",
    "split",
    "robot",
    "level",
    "stage",
)
MAX_SEEDS = 8  # most seeds to list in a line


@dataclass(frozen=True)
class Repetition:
    """A cell and the same cell measured again."""

    before: Cell
    after: Cell

    @property
    def different(self) -> list[EpisodeResult]:
        """The earlier episodes that differ from the new ones in any field."""
        pairs = zip(self.before.episodes, self.after.episodes, strict=False)
        return [old for old, new in pairs if encode(old) != encode(new)]

    @property
    def different_outcomes(self) -> int:
        """The number of episodes that differ in success at the end."""
        pairs = zip(self.before.episodes, self.after.episodes, strict=False)
        return sum(old.success_at_end != new.success_at_end for old, new in pairs)


def run(args: argparse.Namespace) -> int:
    """Repeats the episodes; returns 0 if all are equal to the digit, 1 if any is not."""
    arguments.reject_flags(
        args, SET_BY_FILE, "--reproduce takes it from the file: leave it out"
    )
    path = args.reproduce
    if path.is_dir():
        path = path / RESULTS
    results = read_results(path)
    cells = [_first_episodes(cell, args.episodes) for cell in results.cells]
    if not cells:
        raise EmbodiedError(
            f"{path} holds no finished cell: there is nothing to repeat"
        )

    # measure the same episodes again, under the conditions in the file
    trials = [_repeating_trial(cell, path, args) for cell in cells]
    _check_robots(results.provenance, trials, path)
    progress = stages(args.json, sum(len(cell.episodes) for cell in cells))
    repetitions: list[Repetition] = []
    try:
        with arguments.executor(args, len(cells[0].episodes)) as workers:
            for cell, trial in zip(cells, trials, strict=True):
                repetitions.append(Repetition(cell, measure(trial, workers, progress)))
    except KeyboardInterrupt:
        # what was repeated so far may have taken hours
        verdict = _verdict(repetitions)
        raise KeyboardInterrupt(
            f"Repeated {len(repetitions)} of {counted(len(cells), 'cell')}: {verdict}"
        ) from None

    differences = setup_differences(results.provenance, trials, quiet=args.json)
    if args.json:
        print(json.dumps(_values(repetitions, differences), indent=2))
    else:
        print("\n".join(_lines(repetitions, differences)))
    return 1 if any(repetition.different for repetition in repetitions) else 0


def _first_episodes(cell: Cell, count: int | None) -> Cell:
    """Returns the first `count` episodes of a cell; all for None."""
    if count is None or count >= len(cell.episodes):
        return cell
    if count < 1:
        raise EmbodiedError(f"--episodes must be at least 1, not {count}")
    condition = replace(cell.condition, num_episodes=count)
    return replace(cell, condition=condition, episodes=cell.episodes[:count])


def _repeating_trial(cell: Cell, path: Path, args: argparse.Namespace) -> Trial:
    """Returns the trial that measures a cell again.

    Args:
        cell: the cell of the results file.
        path: the path of the results file.
        args: the arguments that the user typed.

    Raises:
        EmbodiedError: the file does not say how the cell was measured; it names code
            that the user did not type; or the policy has other weights now.
    """
    # the arguments of the cell's `view` command, which has task, robot, policy and timing
    stored = _stored_arguments(cell, path)
    condition = cell.condition
    # a file alone must not make this process run code
    _check_typed(stored, args, path)
    task_choice = TaskChoice(
        stored.task, condition.split, stored.robot, stage=condition.stage
    )
    [trial] = plan_trials(
        {condition.policy: stored.policy},
        task_choice,
        [condition.level],
        timings=chosen_timings(stored, [stored.policy]),
        seeds=condition.seeds,
        num_envs=args.num_envs,
    )

    new_condition = trial.condition
    if new_condition.weights != condition.weights:
        raise EmbodiedError(
            f"{path}: the policy {condition.policy} has other weights now "
            f"({new_condition.weights[:8]}) than it had ({condition.weights[:8]}): bring back "
            "those that were measured"
        )
    if new_condition != condition:
        raise EmbodiedError(
            f"{path}: the cell of {condition.policy} at {condition.level} cannot be "
            "repeated: its command stands for another condition than the stored one"
        )
    return trial


def _check_robots(before: Provenance, trials: Sequence[Trial], path: Path) -> None:
    """Raises EmbodiedError if the files of a robot have changed since the measurement.

    Args:
        before: the provenance of the results file.
        trials: the trials that measure the cells again.
        path: the path of the results file, for the error message.
    """
    measured = before.metadata.get("robot_hash")
    if measured is None:  # a robot composed in Python, or results of an earlier version
        return

    for trial in trials:
        config = trial.runner.config
        robot = choose_robot(get_task(config.task), config.robot)
        if robot.content_hash not in measured.split(", "):
            raise EmbodiedError(
                f"{path}: it was measured with the robot {before.robot!r} of content "
                f"{measured[:12]}, and {config.robot} is {robot.name!r} of content "
                f"{robot.content_hash[:12] or 'none'}: bring back the description and "
                "the model files that were measured"
            )


def _stored_arguments(cell: Cell, path: Path) -> argparse.Namespace:
    """Returns the arguments of the command that shows a cell's episodes."""
    if cell.view[:2] != ("embodied", "view"):
        raise EmbodiedError(
            f"{path}: the cell of {cell.condition.policy} does not tell how it was "
            "measured: it is of an old version, or of a task or robot made in Python"
        )
    # the flags that `view_command_words` writes into results
    parser = LineParser(prog="embodied view", add_help=False)
    parser.add_argument("task")
    for flag in ("--policy", "--level", "--split", "--robot", "--stage"):
        parser.add_argument(flag)
    add_timing(parser)
    return parser.parse_args(list(cell.view[2:]))


def _check_typed(
    stored: argparse.Namespace, args: argparse.Namespace, path: Path
) -> None:
    """Checks that the user typed all code that the file names, and sets `stored.task`.

    Code is never loaded only because a file names it. Without code of the user's own,
    `stored.task` is the task in the file; otherwise the task that the user typed.

    Args:
        stored: the arguments from the file; `task` is changed.
        args: the arguments that the user typed.
        path: the path of the file.

    Raises:
        EmbodiedError: the file names a task or a policy of the user's own that the user
            did not type.
    """
    if is_place(stored.task):
        if args.task is None:
            raise EmbodiedError(
                f"{path} names a task of your own, {stored.task}, whose code would be "
                f"loaded: type it, too: embodied eval {stored.task} --reproduce {path}"
            )
        stored.task = args.task
    else:
        stored.task = typed_task(stored.task)

    # built-in policies, registered policies and run folders load no code of the user's
    is_safe = stored.policy in BUILT_IN or stored.policy in policy_summaries()
    is_safe = is_safe or Path(stored.policy).is_dir()
    if not is_safe and stored.policy not in (args.policy or ()):
        raise EmbodiedError(
            f"{path} names a policy of your own, {stored.policy}, whose code would be "
            f"loaded: type it, too, with --policy {stored.policy}"
        )


def setup_differences(
    before: Provenance, trials: Sequence[Trial], *, quiet: bool
) -> list[str]:
    """Returns the differences in versions, machine, models and code, in words.

    Args:
        before: the provenance of the results file.
        trials: the trials that measure the cells again.
        quiet: whether to show no progress.
    """
    # imported here to avoid a cycle, because `eval` imports this module
    from embodied.cli.eval import trials_provenance

    now = trials_provenance(list(trials), [], quiet=quiet)
    differences = []
    for name in sorted(before.versions.keys() | now.versions.keys()):
        old = before.versions.get(name, "none")
        new = now.versions.get(name, "none")
        if old != new:
            differences.append(f"{name} {old} then, {new} now")
    for name in ("processor", "architecture", "system"):
        if before.host.get(name) != now.host.get(name):
            differences.append(
                f"{name} {before.host.get(name)} then, {now.host.get(name)} now"
            )
    for what, old_hashes, new_hashes in (
        ("model", before.models, now.models),
        ("code", before.code, now.code),
    ):
        for name in sorted(old_hashes.keys() & new_hashes.keys()):
            if old_hashes[name] != new_hashes[name]:
                differences.append(f"the {what} of {name} has changed")
    return differences


def _lines(repetitions: Sequence[Repetition], differences: Sequence[str]) -> list[str]:
    """Returns the result in words: a line per cell, a total, and one on the setup.

    Args:
        repetitions: the cells, each with its repetition.
        differences: how versions, machine, models and code differ, in words.
    """
    lines = []
    for repetition in repetitions:
        condition = repetition.before.condition
        name = (
            f"{condition.policy} {condition.task_with_robot} {condition.level}".strip()
        )
        count = len(repetition.before.episodes)

        different = repetition.different
        if not different:
            lines.append(f"{name}: {counted(count, 'episode')}, equal to the digit")
            continue

        seeds = ", ".join(str(episode.seed) for episode in different[:MAX_SEEDS])
        more = ", ..." if len(different) > MAX_SEEDS else ""
        lines.append(
            f"{name}: {len(different)} of {counted(count, 'episode')} differ, "
            f"{repetition.different_outcomes} of them in success: seeds {seeds}{more}"
        )

    lines.append(_verdict(repetitions))
    if differences:
        lines.append(f"the setup differs: {'; '.join(differences)}")
    else:
        lines.append("versions, code, models and processor are the same")
    return lines


def _verdict(repetitions: Sequence[Repetition]) -> str:
    """Returns in words how many of all episodes are equal."""
    total = sum(len(one.before.episodes) for one in repetitions)
    episodes = f"{counted(total, 'episode')} of {counted(len(repetitions), 'cell')}"
    different = sum(len(repetition.different) for repetition in repetitions)
    if different:
        return f"different: {different} of {episodes}"
    return f"{episodes}: all equal to the digit"


def _values(
    repetitions: Sequence[Repetition], differences: Sequence[str]
) -> dict[str, Any]:
    """Returns the result of the repetition as values for `json`.

    Args:
        repetitions: the cells, each with its repetition.
        differences: how versions, machine, models and code differ, in words.
    """
    # for each cell, the seeds of episodes that differ, and how many differ in success
    cells = [
        {
            "policy": repetition.before.condition.policy,
            "task": repetition.before.condition.task,
            "robot": repetition.before.condition.robot,
            "level": repetition.before.condition.level,
            "episodes": len(repetition.before.episodes),
            "different": [episode.seed for episode in repetition.different],
            "different_outcomes": repetition.different_outcomes,
        }
        for repetition in repetitions
    ]

    return {"cells": cells, "differences": list(differences)}
