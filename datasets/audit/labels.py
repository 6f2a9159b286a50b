"""Checks of labels: success and instruction, against what the file itself holds."""

from __future__ import annotations

import numpy as np

from embodied.datasets.audit.context import Context
from embodied.datasets.audit.findings import Finding
from embodied.datasets.audit.view import View


def find_wrong_success(view: View, context: Context) -> list[Finding]:
    """Finds labels of success that the recorded steps, or a replay, contradict."""
    meta = view.meta
    if meta is None or meta.fault:
        return []

    # a replay knows best
    labelled = _words(meta.success_at_end)
    judgement = context.judgements.get(view.demo)
    if judgement is not None and judgement.success != meta.success_at_end:
        message = (
            f"it is labelled {labelled}, but its replay, which is bit for bit the same, "
            f"ends as {_words(judgement.success)}"
        )
        return [Finding("success_label", "EXCLUDE", message)]

    told = np.asarray(view.arrays.get("streams/success/value", ()))
    message = ""
    if len(told) and bool(told[-1]) != meta.success_at_end:
        message = f"it is labelled {labelled}, but streams/success ends with {told[-1]}"
    elif len(told) and bool(told.any()) != meta.success_once:
        message = (
            f"success_once is {meta.success_once}, but streams/success tells otherwise"
        )
    return [Finding("success_label", "EXCLUDE", message)] if message else []


def find_wrong_instruction(view: View, context: Context) -> list[Finding]:
    """Finds sentences that are not those of what was sampled, or of the seed."""
    meta = view.meta
    if meta is None:
        return []

    told = meta.instruction
    if not told.strip():
        return [Finding("instruction", "REVIEW", "it has no instruction")]
    sampled = meta.variation.get("instruction")
    if sampled is not None and sampled != told:
        message = f"it says {told!r}, but {sampled!r} was sampled"
        return [Finding("instruction", "EXCLUDE", message)]

    # both may be wrong together: the same start, made from the seed, tells
    judgement = context.judgements.get(view.demo)
    if judgement is not None and judgement.instruction not in ("", told):
        message = (
            f"it says {told!r}, but its start is that of {judgement.instruction!r}"
        )
        return [Finding("instruction", "EXCLUDE", message)]
    return []


def find_wrong_sums(view: View, context: Context) -> list[Finding]:
    """Finds figures of the table of episodes that its steps contradict."""
    meta = view.meta
    progress = view.arrays.get("streams/progress/value", np.zeros(0))
    reward = view.arrays.get("streams/reward/value", np.zeros(0))
    if meta is None or meta.fault or not len(progress) or not len(reward):
        return []

    wrong = []
    for name, told, found in (
        ("progress_end", meta.progress_end, float(progress[-1])),
        ("progress_max", meta.progress_max, float(progress.max())),
        ("reward_sum", meta.reward_sum, float(reward.sum())),
        ("duration_s", meta.duration_s, len(reward) / view.source.control_hz),
    ):
        if not np.isclose(told, found, rtol=1e-4, atol=1e-4):
            wrong.append(f"{name} is {told:.4g}, its steps give {found:.4g}")
    if not wrong:
        return []
    return [Finding("sums", "REVIEW", "; ".join(wrong))]


def _words(success: bool) -> str:
    return "a success" if success else "a failure"
