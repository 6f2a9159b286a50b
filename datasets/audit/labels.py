"""Checks of labels against the recorded steps and the replay of an episode."""

from __future__ import annotations

import numpy as np

from embodied.datasets.audit.context import Context
from embodied.datasets.audit.findings import Finding
from embodied.datasets.audit.view import View


def find_wrong_success(view: View, context: Context) -> list[Finding]:
    """Finds success labels that the recorded steps, or a replay, contradict."""
    meta = view.meta
    # a file from elsewhere has no such labels, and `find_fault` reports faulty worlds
    if meta is None or meta.fault:
        return []

    # a replay computes success anew, so it is better evidence than the recorded steps
    labelled = _outcome_text(meta.success_at_end)
    judgement = context.judgements.get(view.demo)
    if judgement is not None and judgement.success != meta.success_at_end:
        message = (
            f"it is labelled {labelled}, but its replay, which is bit for bit the same, "
            f"ends as {_outcome_text(judgement.success)}"
        )
        return [Finding("success_label", "EXCLUDE", message)]

    succeeded = np.asarray(view.arrays.get("streams/success/value", ()))  # (T,)
    message = ""
    if len(succeeded) and bool(succeeded[-1]) != meta.success_at_end:
        message = (
            f"it is labelled {labelled}, but streams/success ends with {succeeded[-1]}"
        )
    elif len(succeeded) and bool(succeeded.any()) != meta.success_once:
        message = (
            f"success_once is {meta.success_once}, but streams/success contradicts it"
        )
    return [Finding("success_label", "EXCLUDE", message)] if message else []


def find_wrong_instruction(view: View, context: Context) -> list[Finding]:
    """Finds instructions that the sampled values, or the episode's seed, contradict."""
    meta = view.meta
    stored = view.instruction
    # a file from elsewhere may have no instructions at all, but should have no blank ones
    is_missing = not stored.strip() if meta is not None else stored.isspace()
    if is_missing:
        return [Finding("instruction", "REVIEW", "it has no instruction")]
    if meta is None:
        return []

    sampled = meta.variation.get("instruction")
    if sampled is not None and sampled != stored:
        message = f"it says {stored!r}, but {sampled!r} was sampled"
        return [Finding("instruction", "EXCLUDE", message)]

    # If both were changed in the same way, a reset with the seed gives another sentence.
    judgement = context.judgements.get(view.demo)
    if judgement is not None and judgement.instruction not in ("", stored):
        message = f"it says {stored!r}, but its seed gives {judgement.instruction!r}"
        return [Finding("instruction", "EXCLUDE", message)]
    return []


def find_wrong_sums(view: View, context: Context) -> list[Finding]:
    """Finds figures in the table of episodes that the recorded steps contradict."""
    meta = view.meta
    progress = view.arrays.get("streams/progress/value", np.zeros(0))
    reward = view.arrays.get("streams/reward/value", np.zeros(0))
    if meta is None or meta.fault or not len(progress) or not len(reward):
        return []

    contradictions = []
    for name, stored, computed in (
        ("progress_end", meta.progress_end, float(progress[-1])),
        ("progress_max", meta.progress_max, float(progress.max())),
        ("reward_sum", meta.reward_sum, float(reward.sum())),
        ("duration_s", meta.duration_s, len(reward) / view.source.control_hz),
    ):
        # small differences are allowed, because streams are stored in single precision
        if not np.isclose(stored, computed, rtol=1e-4, atol=1e-4):
            contradictions.append(
                f"{name} is {stored:.4g}, its steps give {computed:.4g}"
            )
    if not contradictions:
        return []
    return [Finding("sums", "REVIEW", "; ".join(contradictions))]


def _outcome_text(success: bool) -> str:
    return "a success" if success else "a failure"
