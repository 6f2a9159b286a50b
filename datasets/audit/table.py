"""The table of checks: a new one is a function and an entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from embodied.datasets.audit import cameras, diversity, form, labels, motion
from embodied.datasets.audit.context import Context
from embodied.datasets.audit.findings import (
    IRREGULAR_FORM,
    NO_DIVERSITY,
    OFF_DOMAIN,
    THIN_CONTENT,
    Finding,
)
from embodied.datasets.audit.view import View


@dataclass(frozen=True)
class Check:
    """One check of an episode.

    Attributes:
        name: the name of the check, which each of its findings has as `check`.
        fault: the kind of fault that the check looks for, one of `findings.FAULTS`.
        find: the function that returns the check's findings for an episode.
    """

    name: str
    fault: str
    find: Callable[[View, Context], list[Finding]]


CHECKS = (
    Check("thin", THIN_CONTENT, motion.find_thin),
    Check("idle", THIN_CONTENT, motion.find_idle),
    Check("long", OFF_DOMAIN, motion.find_long),
    Check("strange_start", OFF_DOMAIN, diversity.find_strange_start),
    Check("success_label", OFF_DOMAIN, labels.find_wrong_success),
    Check("instruction", OFF_DOMAIN, labels.find_wrong_instruction),
    Check("twin", NO_DIVERSITY, diversity.find_twin),
    Check("fault", IRREGULAR_FORM, form.find_fault),
    Check("not_finite", IRREGULAR_FORM, form.find_not_finite),
    Check("ragged", IRREGULAR_FORM, form.find_ragged),
    Check("times", IRREGULAR_FORM, form.find_bad_times),
    Check("state_times", IRREGULAR_FORM, form.find_state_times),
    Check("old_pictures", IRREGULAR_FORM, form.find_old_pictures),
    Check("readings", IRREGULAR_FORM, form.find_different_readings),
    Check("sums", IRREGULAR_FORM, labels.find_wrong_sums),
    Check("dead", IRREGULAR_FORM, motion.find_dead),
    Check("frozen", IRREGULAR_FORM, motion.find_frozen),
    Check("jump", IRREGULAR_FORM, motion.find_jumps),
    Check("jerk", IRREGULAR_FORM, motion.find_jerk),
    Check("limits", IRREGULAR_FORM, motion.find_beyond_limits),
    Check("lag", IRREGULAR_FORM, motion.find_lag),
    Check("blank_camera", IRREGULAR_FORM, cameras.find_blank),
    Check("frozen_camera", IRREGULAR_FORM, cameras.find_frozen_camera),
    Check("swapped_cameras", IRREGULAR_FORM, cameras.find_swapped),
    Check("late_camera", IRREGULAR_FORM, cameras.find_late_camera),
)
