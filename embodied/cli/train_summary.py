"""The output of `embodied train` at the end of a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from embodied.benchmark.training_page import write_training_page
from embodied.benchmark.training_reading import (
    advice,
    comparable_trainings,
    gap,
    is_imitation,
)
from embodied.cli.progress import figures
from embodied.cli.text_table import text_table
from embodied.envs.task import TaskSpec
from embodied.errors import EmbodiedError
from embodied.policies.run_folder import read_history, read_info, tasks_of
from embodied.policies.training.budget import Budget

COLUMNS = (
    "beside measured trainings",
    "valid loss",
    "over train",
    "goal error",
    "p90",
    "subtasks right",
    "succeeded",
)

SINGLE_NOTE = (
    "the measured trainings are of dual systems: compare goal errors and subtasks with "
    "them, but no losses"
)


def finished_notice(folder: Path, budget: Budget) -> str:
    """Returns a line on a run that has spent its budget."""
    return f"{folder} is finished: left as it is; more than {budget.flag} would lengthen it"


def draw(folder: Path) -> Path | None:
    """Writes the page of a run; returns its path, or None if there are no figures yet."""
    try:
        return write_training_page(folder)
    except (FileNotFoundError, EmbodiedError):  # interrupted before the first row
        return None


def as_json(folder: Path, budget: Budget) -> dict[str, Any]:
    """Returns the last figures of a run and the advice, as values for `json`."""
    history = read_history(folder)
    return {
        "run": str(folder),
        **history[-1],
        "curves": str(draw(folder)),
        # if more training helps, the advice recommends twice the budget
        "advice": advice(history, _doubled(budget).flag),
    }


def as_text(folder: Path, budget: Budget, robot: str | None) -> str:
    """Returns the last figures of a run, a comparison, and the advice, as text.

    Args:
        folder: the run folder.
        budget: the budget of the training, twice which the advice may recommend.
        robot: what --robot takes for the robot; None for the task's default.
    """
    history = read_history(folder)
    info = read_info(folder)
    tasks = tasks_of(info)
    lines = [f"{folder}: {figures(history[-1])}"]
    if is_imitation(history):
        lines.append(_comparison(tasks, history[-1]))
    if info.get("kind") == "single":
        lines.append(SINGLE_NOTE)

    lines.append(f"{advice(history, _doubled(budget).flag)}.")
    lines.append(f"curves: {draw(folder)}")

    # the commands that evaluate the run
    for task in tasks:
        output = f"{folder}-eval" if len(tasks) == 1 else f"{folder}-{task}"
        eval_command = f"embodied eval {task} --policy {folder} -o {output}"
        if robot not in (None, TaskSpec.default_robot):
            eval_command += f" --robot {robot}"
        lines.append(f"measure it: {eval_command}")
    return "\n".join(lines)


def _comparison(tasks: Sequence[str], last: dict[str, float]) -> str:
    """Returns a table of this training and of measured trainings of the same tasks.

    The success of this training is "?", because it has not been evaluated yet.
    """
    rows = [
        (
            "this one",
            f"{last['valid_loss']:.2f}",
            f"{gap(last):.2f} x",
            f"{last['goal_error_mm']:.0f} mm",
            f"{last['goal_error_p90_mm']:.0f} mm",
            f"{last['subtask_accuracy']:.0%}",
            "?",
        )
    ]

    for training in comparable_trainings(tasks):
        rows.append(
            (
                training.title,
                f"{training.valid_loss:.2f}",
                f"{training.gap:.2f} x",
                f"{training.goal_error_mm:.0f} mm",
                f"{training.goal_error_p90_mm:.0f} mm",
                f"{training.subtask_accuracy:.0%}",
                training.success,
            )
        )

    return text_table([COLUMNS, *rows])


def _doubled(budget: Budget) -> Budget:
    """Returns twice a budget, which the advice recommends if more training helps."""
    if budget.max_steps is not None:
        return Budget(max_steps=2 * budget.max_steps)
    return Budget(minutes=2 * budget.minutes)
