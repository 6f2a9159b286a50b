"""Plans the cells of an evaluation: policies on tasks, levels and timings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from embodied.benchmark.results import Condition
from embodied.benchmark.timing import Timing
from embodied.core import PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.models import choose_robot
from embodied.envs.registry import get_task
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.registry import PolicySource, find_policy


@dataclass(frozen=True)
class TaskChoice:
    """The task, split, robot and stage that an evaluation measures."""

    task: str
    split: str = "train"
    robot: str | None = None  # None for the task's default
    stage: str = ""  # "" for the whole task

    def config(self, spec: PolicySpec, level: str) -> EnvConfig:
        """Returns the config of the worlds, with what the policy's spec requires.

        Raises:
            EmbodiedError: the task, robot, split, level or stage does not exist.
        """
        config = env_config_for(
            spec, self.task, level, split=self.split, robot=self.robot
        )
        if not self.stage:
            return config

        # a stage ends at a certain progress, and is shorter than the whole task
        stage = get_task(self.task).stage(self.stage)
        return replace(
            config, goal_progress=stage.goal_progress, horizon_s=stage.horizon_s
        )


@dataclass(frozen=True)
class Trial:
    """A cell that is to be measured: one policy under one condition."""

    runner: EpisodeRunner  # runs the policy's episodes
    condition: Condition
    label: str  # the policy's name for people
    timing: Timing | None = None  # None for a policy that does not plan
    view: tuple[str, ...] = ()  # command that shows its episodes, without the seed
    abilities: tuple[str, ...] = ()  # abilities that the cell measures in its suite

    @property
    def title(self) -> str:
        """The line of the progress display: policy, level, rate, delay, impairments."""
        title = f"{self.label} {self.condition.level}"
        # the cells of a suite differ in task and split, so the line names both
        if self.abilities:
            title = f"{self.condition.task_with_robot}, {title}"
            if self.condition.split != "train":
                title += f" {self.condition.split}"
        if self.condition.planner_hz:
            title += f", {self.condition.planner_hz:g} Hz"
            title += f", {self.condition.delay_ms:g} ms late"
        if self.condition.drop_rate:
            title += f", {self.condition.drop_rate:.0%} lost"
        return ", ".join([title, *self.condition.interruptions_and_remedies])


def plan_trials(
    policies: Mapping[str, str],
    task_choice: TaskChoice,
    levels: Sequence[str],
    timings: Sequence[Timing],
    seeds: range,
    num_envs: int = 16,
) -> list[Trial]:
    """Returns a trial for every combination of policy, level and timing.

    A policy that makes no plans has one trial per level.

    Args:
        policies: label -> name of each policy.
        task_choice: the task, split, robot and stage.
        levels: the levels of variation.
        timings: rates and delays of plans.
        seeds: the seeds of the episodes of each cell.
        num_envs: number of worlds that a process runs at once; it does not affect
            results.

    Raises:
        EmbodiedError: a name does not exist, or a run was trained on another task.
    """
    candidates = [
        Candidate.of(label, name, task_choice.task, task_choice.robot)
        for label, name in policies.items()
    ]
    trials = []
    for candidate, level in product(candidates, levels):
        trials += candidate.trials(task_choice, level, timings, seeds, num_envs)
    return trials


@dataclass(frozen=True)
class Candidate:
    """A policy that is to be measured on a task with a robot."""

    label: str  # the policy's name in results
    name: str  # the policy's name for `find_policy`, which may be the path of a run
    source: PolicySource
    spec: PolicySpec
    task: str
    robot: str

    @classmethod
    def of(cls, label: str, name: str, task: str, robot: str | None) -> Candidate:
        """Returns a policy with its spec for this task and robot.

        Raises:
            EmbodiedError: a name does not exist, or the policy is for another task or
                robot.
        """
        source = find_policy(name)
        spec = source.spec(task, robot)
        chosen = choose_robot(get_task(task), robot)
        return cls(
            label=label,
            name=name,
            source=source,
            spec=spec,
            task=get_task(task).name,
            robot=chosen.name,
        )

    def trials(
        self,
        task_choice: TaskChoice,
        level: str,
        timings: Sequence[Timing],
        seeds: range,
        num_envs: int,
    ) -> list[Trial]:
        """Returns one trial per timing; a single one if the policy makes no plans."""
        config = task_choice.config(self.spec, level)
        runner = EpisodeRunner(self.name, config, num_envs=num_envs)
        condition = Condition(
            policy=self.label,
            level=level,
            split=task_choice.split,
            first_seed=seeds.start,
            num_episodes=len(seeds),
            control_mode=self.spec.control_mode,
            control_hz=self.spec.control_hz,
            stage=task_choice.stage,
            weights=self.source.weights_hash,
            task=self.task,
            robot=self.robot,
        )

        # a policy without plans has no planner rate, and timings do not affect it
        own_hz = self.source.planner_hz
        if own_hz is None:
            # of a label that is a path, such as runs/totes, people see the last part
            return [Trial(runner, condition, Path(self.label).name)]

        trials = [_timed(runner, condition, timing, own_hz) for timing in timings]
        _require_bridges_fit(trials)
        return trials


def _timed(
    runner: EpisodeRunner, condition: Condition, timing: Timing, own_hz: float
) -> Trial:
    """Returns the trial of a policy with this timing.

    Args:
        runner: runs the policy without a timing.
        condition: the condition without a timing.
        timing: rate and delays of plans.
        own_hz: the policy's planner rate if the timing sets none.
    """
    dual = timing.dual(own_hz)

    # the condition records the timing that the dual system uses
    timed = replace(
        condition,
        planner_hz=dual.planner_hz,
        compute_ms=timing.median_compute_ms,
        transport_ms=timing.median_transport_ms,
        latency=timing.latency_text,
        drop_rate=dual.drop,
        freeze=timing.freeze.description,
        outage=timing.outage.description,
        mailbox=dual.mailbox,
        bridge=dual.bridge,
    )

    runner = replace(runner, dual=dual)
    return Trial(runner, timed, Path(condition.policy).name, timing)


def _require_bridges_fit(trials: Sequence[Trial]) -> None:
    """Raises EmbodiedError if a bridge does not suit the plans of a policy.

    The error is raised only when the policy is built, so the policy is built once with
    each bridge. The bridge "hold" suits all plans.
    """
    runners = {trial.condition.bridge: trial.runner for trial in trials}
    for bridge, runner in runners.items():
        if bridge != "hold":
            runner.try_out()  # builds worlds and policy
