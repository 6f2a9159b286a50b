"""Interprets training figures: compares them with measured trainings, and advises.

docs/training.md explains the trainings in `MEASURED` and the limits below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from embodied.wording import counted

Rows = Sequence[Mapping[str, float]]

# A higher ratio of validation loss to training loss means overfitting: the policy needs
# more demonstrations.
WIDE_GAP = 1.25
# With fewer passes over the demonstrations, longer training still helps.
FEW_PASSES = 5.0
# In reinforcement learning, success rates of the last training episodes from which on the
# task counts as learned, and learning counts as begun.
LEARNED = 0.95
BEGUN = 0.05
# A smaller growth of success and progress over the second half of a training counts as
# a standstill.
STANDSTILL = 0.02


@dataclass(frozen=True)
class Measured:
    """A training by imitation whose policy was evaluated afterwards."""

    task: str
    level: str
    demonstrations: int
    steps: int
    valid_loss: float
    gap: float  # validation loss over training loss
    goal_error_mm: float
    goal_error_p90_mm: float
    subtask_accuracy: float
    success: str  # of the trained policy, at the level of its demonstrations

    @property
    def title(self) -> str:
        demonstrations = counted(self.demonstrations, "demonstration")
        steps = counted(self.steps, "step")
        return f"{self.task} {self.level}, {demonstrations}, {steps}"


MEASURED = (
    Measured(
        task="ToteTransfer",
        level="L1 and L2",
        demonstrations=560,
        steps=3500,
        valid_loss=0.74,
        gap=1.06,
        goal_error_mm=17,
        goal_error_p90_mm=75,
        subtask_accuracy=0.92,
        success="91% of 300",
    ),
    Measured(
        task="ToteTransfer",
        level="L1",
        demonstrations=120,
        steps=300,
        valid_loss=1.30,
        gap=0.92,
        goal_error_mm=41,
        goal_error_p90_mm=134,
        subtask_accuracy=0.87,
        success="1 of 30",
    ),
    Measured(
        task="ToteTransfer",
        level="L1",
        demonstrations=30,
        steps=300,
        valid_loss=2.03,
        gap=1.69,
        goal_error_mm=105,
        goal_error_p90_mm=153,
        subtask_accuracy=0.77,
        success="0 of 30",
    ),
    Measured(
        task="PanelReset",
        level="L2",
        demonstrations=120,
        steps=500,
        valid_loss=0.48,
        gap=0.95,
        goal_error_mm=11,
        goal_error_p90_mm=31,
        subtask_accuracy=0.93,
        success="7 of 30",
    ),
    Measured(
        task="PanelReset",
        level="L2",
        demonstrations=30,
        steps=300,
        valid_loss=0.63,
        gap=1.29,
        goal_error_mm=8,
        goal_error_p90_mm=37,
        subtask_accuracy=0.90,
        success="4 of 30",
    ),
    Measured(
        task="FixtureLoad",
        level="L2",
        demonstrations=202,
        steps=2400,
        valid_loss=0.55,
        gap=1.07,
        goal_error_mm=8,
        goal_error_p90_mm=45,
        subtask_accuracy=0.94,
        success="0 of 100",
    ),
)


def comparable_trainings(tasks: Sequence[str]) -> tuple[Measured, ...]:
    """Returns the measured trainings of these tasks; of all tasks if they have none."""
    same_tasks = tuple(training for training in MEASURED if training.task in tasks)
    return same_tasks or MEASURED


def is_imitation(history: Rows) -> bool:
    """Returns whether these are the figures of imitation learning."""
    return bool(history) and "valid_loss" in history[-1]


def gap(row: Mapping[str, float]) -> float:
    """Returns the validation loss over the training loss."""
    return row["valid_loss"] / max(row["train_loss"], 1e-9)  # no division by 0


def advice(history: Rows, budget_flag: str = "") -> str:
    """Returns an interpretation of the figures and a recommendation; "" without figures.

    Args:
        history: the rows of a run.
        budget_flag: a flag that would lengthen the run, such as `--minutes 10`.
    """
    if not history:
        return ""
    longer = "more time"
    if budget_flag:
        longer += f" (--resume {budget_flag})"
    if is_imitation(history):
        return _imitation_advice(history[-1], longer)
    return _reinforcement_advice(history, longer)


def _imitation_advice(last: Mapping[str, float], longer: str) -> str:
    """Returns the advice for imitation learning.

    Args:
        last: the last row of the history.
        longer: a noun phrase for more training, such as "more time (--resume)".
    """
    # how often each plan of the demonstrations was seen in training
    passes = last.get("passes")
    if passes is not None and passes < 1:
        return (
            f"only {passes:.0%} of the plans have been seen yet, so that the figures say "
            f"little: {longer} will help"
        )

    ratio = gap(last)
    if ratio > WIDE_GAP:
        return (
            f"the validation loss is {ratio:.2f} times the training loss: the policy knows "
            "its demonstrations better than the task. More demonstrations will help, more "
            "time alone hardly will"
        )

    if passes is not None and passes < FEW_PASSES:
        return (
            f"each plan was seen {passes:.2g} times only, and validation is about as good "
            f"as training (a ratio of {ratio:.2f}): {longer} will help"
        )
    seen = "" if passes is None else ", and each plan was seen often enough"
    return (
        f"validation is about as good as training (a ratio of {ratio:.2f}){seen}: where "
        f"success is low, both more demonstrations and {longer} are needed"
    )


def _reinforcement_advice(history: Rows, longer: str) -> str:
    """Returns the advice for reinforcement learning.

    `longer` is a noun phrase for more training, such as "more time (--resume)".
    """
    last = history[-1]
    success = last.get("success", 0.0)

    # growth of success or progress over the second half of the training
    middle = history[len(history) // 2]  # the row in the middle of the training
    growth = max(
        last.get(name, 0.0) - middle.get(name, 0.0) for name in ("success", "progress")
    )
    share = f"{success:.0%} of the last training episodes succeeded"

    if success >= LEARNED:
        return f"{share}: it is learned"
    if growth > STANDSTILL:
        return f"{share}, and it still grows: {longer} will help"
    if success >= BEGUN:
        return f"{share}, but that stands still: try {longer}, or another seed"
    return (
        f"{share}, and progress stands still: try an easier stage (--stage), a lower "
        "level (--level) or more demonstrations (--demos); more time alone may not help"
    )
