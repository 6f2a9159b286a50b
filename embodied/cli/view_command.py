"""The command that shows the episodes of a cell: `embodied view` with its condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from embodied.benchmark.timing import Timing
from embodied.benchmark.trials import Trial
from embodied.cli.timing import FLAGS
from embodied.envs.own_tasks import word_for
from embodied.envs.registry import own_task
from embodied.policies.channel import Interruption
from embodied.policies.registry import find_policy


def with_view_commands(trials: Sequence[Trial]) -> list[Trial]:
    """Returns the trials, each with the command that shows its episodes."""
    return [replace(trial, view=view_words(trial)) for trial in trials]


def view_words(trial: Trial) -> tuple[str, ...]:
    """Returns the words of the command; `--seed` and a seed are to follow.

    They are () for what cannot be typed: delays that no file holds, or a robot or a task
    that was made in Python.
    """
    config = trial.runner.config
    timing = trial.timing or Timing()
    traces = (timing.trace, timing.compute_trace)
    if any(trace is not None and not trace.file for trace in traces):
        return ()
    if config.robot is not None and not isinstance(config.robot, str):
        return ()
    own = own_task(config.task)
    if own is not None and not own.place:
        return ()

    words = ["embodied", "view", word_for(config.task)]
    words += ["--policy", trial.runner.policy]
    words += ["--level", config.level]
    if config.split != "train":
        words += ["--split", config.split]
    if config.robot is not None:
        words += ["--robot", config.robot]

    # Without it, a run of reinforcement learning would be shown at its own stage.
    stage = trial.condition.stage
    if stage or find_policy(trial.runner.policy).trained_for is not None:
        words += ["--stage", stage]

    return (*words, *timing_words(timing))


def timing_words(timing: Timing) -> list[str]:
    """Returns the flags of a timing, which `timings_of` turns into the same again."""
    # None for a flag that is left out, as its default says the same. Jitter of no delay
    # is refused, as it would have no effect.
    values = {
        "planner_hz": timing.planner_hz,
        "delay_ms": timing.transport_ms or None,
        "jitter": (timing.jitter if timing.transport_ms else 0) or None,
        "latency_trace": timing.trace.file if timing.trace else None,
        "compute_ms": timing.compute_ms or None,
        "compute_jitter": (timing.compute_jitter if timing.compute_ms else 0) or None,
        "compute_trace": timing.compute_trace.file if timing.compute_trace else None,
        "channel": timing.channel or None,
        "drop": timing.drop or None,
        **_interruption_values("freeze", timing.freeze),
        **_interruption_values("outage", timing.outage),
        "mailbox": timing.mailbox if timing.mailbox != "latest" else None,
        "bridge": timing.bridge if timing.bridge != "hold" else None,
    }

    words = []
    for name, value in values.items():
        if value is not None:
            words += [FLAGS[name], _exact(value)]
    return words


def _interruption_values(name: str, interruption: Interruption) -> dict[str, Any]:
    """Returns the arguments of a freeze or an outage; none where it never is."""
    if not interruption.max_count:
        return {}
    return {
        f"{name}_s": interruption.duration_s,
        f"{name}_at_s": None if interruption.rate_hz else interruption.start_s,
        f"{name}_hz": interruption.rate_hz or None,
    }


def _exact(value: str | float) -> str:
    """Returns a value as it is typed, with all of its digits."""
    if isinstance(value, str):
        return value
    brief = f"{value:g}"
    return brief if float(brief) == value else repr(float(value))
