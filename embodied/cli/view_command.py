"""The command `embodied view ...` that shows the episodes of a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from embodied.benchmark.timing import Timing
from embodied.benchmark.trials import Trial
from embodied.cli.timing import FLAGS
from embodied.envs.own_tasks import task_argument
from embodied.envs.registry import own_task
from embodied.policies.channel import Interruption
from embodied.policies.registry import find_policy


def with_view_commands(trials: Sequence[Trial]) -> list[Trial]:
    """Returns the trials, each with the command that shows its episodes."""
    return [replace(trial, view=view_command_words(trial)) for trial in trials]


def view_command_words(trial: Trial) -> tuple[str, ...]:
    """Returns the words of the command, without `--seed`.

    Returns () if the trial cannot be typed as a command: it has delays that are in no
    file, or a robot or a task made in Python.
    """
    config = trial.runner.config
    timing = trial.timing or Timing()
    traces = (timing.trace, timing.compute_trace)
    if any(trace is not None and not trace.file for trace in traces):
        return ()
    if config.robot is not None and not isinstance(config.robot, str):
        return ()
    # a task of the user's own can be typed only if it has a place
    task = own_task(config.task)
    if task is not None and not task.place:
        return ()

    words = ["embodied", "view", task_argument(config.task)]
    words += ["--policy", trial.runner.policy]
    words += ["--level", config.level]
    if config.split != "train":
        words += ["--split", config.split]
    if config.robot is not None:
        words += ["--robot", config.robot]

    # a reinforcement learning run has a default stage: "" then means the whole task
    stage = trial.condition.stage
    if stage or find_policy(trial.runner.policy).trained_for is not None:
        words += ["--stage", stage]

    return (*words, *timing_flags(timing))


def timing_flags(timing: Timing) -> list[str]:
    """Returns the flags from which `chosen_timings` makes an equal timing."""
    # None stands for a flag that is left out, because its default is the same value.
    # Jitter without a delay is left out, too, because the command would refuse it.
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
    """Returns the arguments of a freeze or an outage; {} if there is none."""
    if not interruption.max_count:
        return {}
    return {
        f"{name}_s": interruption.duration_s,
        f"{name}_at_s": None if interruption.rate_hz else interruption.start_s,
        f"{name}_hz": interruption.rate_hz or None,
    }


def _exact(value: str | float) -> str:
    """Returns a value as typed on the command line, without loss of digits."""
    if isinstance(value, str):
        return value
    brief = f"{value:g}"
    return brief if float(brief) == value else repr(float(value))
