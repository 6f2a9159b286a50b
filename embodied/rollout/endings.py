"""The endings of episodes, as constants in results and as words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from embodied.rollout.rollout import EpisodeResult

# The values of `EpisodeResult.ended`.
SUCCESS = "success"
FAULT = "fault"  # `EpisodeResult.fault` names it
LOST = "lost"  # the task terminated the episode, because it could no longer succeed
UNDONE = "undone"  # the episode had succeeded, but no longer at its end
TIME_OUT = "time out"


def ending_of(
    success_at_end: bool, fault: str, terminated: bool, success_once: bool
) -> str:
    """Returns how an episode ended, as one of the constants above."""
    if success_at_end:
        return SUCCESS
    if fault:
        return FAULT
    if terminated:
        return LOST
    return UNDONE if success_once else TIME_OUT


def describe_ending(result: EpisodeResult) -> str:
    """Returns how and when an episode ended, e.g. "lost at 12.3 s"."""
    # a success always has a time; each `or` below is only for the type checker
    at_end = f"at {result.duration_s:.1f} s"
    if result.ended == SUCCESS:
        return f"success at {result.time_to_success_s or result.duration_s:.1f} s"
    if result.ended == FAULT:
        return f"fault {result.fault} {at_end}"
    if result.ended == UNDONE:
        return f"success at {result.time_to_success_s or 0.0:.1f} s, undone {at_end}"
    # results of schema version 3 have no ending for time-outs and losses
    return f"{result.ended or 'no success'} {at_end}"


def describe_place(result: EpisodeResult) -> str:
    """Returns the place in the task at which an episode ended.

    E.g. "in place, stage lift reached": the subtask of the last plan, and the furthest
    stage reached. Returns "" if the policy has no plans and the task has no stages.
    """
    parts = [f"in {result.subtask}"] if result.subtask else []
    if result.stage:
        parts.append(f"stage {result.stage} reached")
    return ", ".join(parts)
