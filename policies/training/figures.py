"""The figures in `history.json` of a training, with their units and meanings.

Each row has `share`, `seconds` and `steps`, and the figures of the training method.
docs/training.md lists them all.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """The description of a column of `history.json`."""

    title: str
    unit: str  # "" for a number without a unit
    meaning: str


CLOCKS = {
    "share": Figure("Share", "", "of the budget that is spent, from 0 to 1"),
    "seconds": Figure("Time", "s", "of training so far, in all sittings together"),
    "processor_s": Figure(
        "Processor time",
        "s",
        "of the training process, or of all that torchrun started, without processes of "
        "`--workers`; on a machine that others use, too, it says more than `seconds`",
    ),
    "steps": Figure(
        "Steps",
        "",
        "so far: updates in imitation, control steps of all worlds together in "
        "reinforcement learning",
    ),
}
IMITATION = {
    "train_loss": Figure(
        "Loss on training episodes",
        "",
        "the mean over the updates since the row before; pictures are disturbed",
    ),
    "valid_loss": Figure(
        "Loss on validation episodes",
        "",
        "on up to 384 plans of episodes that are kept for validation, undisturbed",
    ),
    "valid_action_loss": Figure(
        "Action loss", "", "the part of `valid_loss` that the actions have"
    ),
    "goal_error_mm": Figure(
        "Goal error",
        "mm",
        "how far planned goals are from the expert's, on validation episodes; the median",
    ),
    "goal_error_p90_mm": Figure(
        "Goal error, 90th percentile", "mm", "nine of ten planned goals are nearer"
    ),
    "subtask_accuracy": Figure(
        "Subtask accuracy",
        "",
        "the share of validation plans with the expert's subtask, from 0 to 1",
    ),
    "passes": Figure(
        "Passes", "", "how often each plan of the training episodes was seen"
    ),
}
REINFORCEMENT = {
    "success": Figure(
        "Success",
        "",
        "the share of the last training episodes that succeeded, from 0 to 1: the last "
        "200 with `--engine cpu`, at least 64 without noise on `warp`",
    ),
    "progress": Figure(
        "Progress",
        "",
        "the mean progress of these episodes in the whole task, from 0 to 1: at their end "
        "on `cpu`, the furthest on `warp`",
    ),
    "reward": Figure("Reward", "", "the mean per step, at most 0 (`warp`)"),
    "learning_rate": Figure(
        "Learning rate", "", "adapted so that updates stay small (`warp`)"
    ),
    "value_loss": Figure("Value loss", "", "of the critic (`warp`)"),
    "entropy": Figure("Entropy", "nat", "of the noise on actions (`warp`)"),
}
FIGURES = {**CLOCKS, **IMITATION, **REINFORCEMENT}
