"""How an episode ended, as a word in results and as words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from embodied.rollout.rollout import EpisodeResult

# How episodes end: one of these words.
SUCCESS = "success"
FAULT = "fault"  # `EpisodeResult.fault` names it
LOST = "lost"  # the task could no longer succeed, and said so
UNDONE = "undone"  # it had succeeded, but not any more at the end
TIME_OUT = "time out"


def ending_of(
    success_at_end: bool, fault: str, terminated: bool, success_once: bool
) -> str:
    """Returns how an episode ended, in one of the words above."""
    if success_at_end:
        return SUCCESS
    if fault:
        return FAULT
    if terminated:
        return LOST
    return UNDONE if success_once else TIME_OUT


def describe_ending(result: EpisodeResult) -> str:
    """Returns how and when an episode ended, e.g. "lost at 12.3 s"."""
    # A success always has its time: the `or` behind it is for the type alone.
    at = f"at {result.duration_s:.1f} s"
    if result.ended == SUCCESS:
        return f"success at {result.time_to_success_s or result.duration_s:.1f} s"
    if result.ended == FAULT:
        return f"fault {result.fault} {at}"
    if result.ended == UNDONE:
        return f"success at {result.time_to_success_s or 0.0:.1f} s, undone {at}"
    # Results of schema version 3 do not tell a time out from a loss.
    return f"{result.ended or 'no success'} {at}"


def describe_place(result: EpisodeResult) -> str:
    """Returns where in the task an episode ended, e.g. "in place, stage lift reached".

    That is the subtask of the last plan, and the furthest stage that was reached. It is
    empty for a policy that does not plan, in a task without stages.
    """
    parts = [f"in {result.subtask}"] if result.subtask else []
    if result.stage:
        parts.append(f"stage {result.stage} reached")
    return ", ".join(parts)
