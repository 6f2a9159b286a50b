"""The survey: success of experts and of trained policies, and cost of simulating tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from embodied.benchmark.evaluation import measure
from embodied.benchmark.results import Cell, summarize
from embodied.benchmark.statistics import Rate
from embodied.benchmark.throughput import (
    bench_config,
    measure_frames,
    measure_physics,
    measure_stepping,
)
from embodied.benchmark.timing import Timing
from embodied.benchmark.trials import TaskChoice, plan_trials
from embodied.envs.variation import LEVELS
from embodied.errors import unknown
from embodied.pages.learned import LearnedSuccess
from embodied.pages.subject import Pair, Subject
from embodied.rollout.executor import Executor
from embodied.rollout.shards import Stage

SURVEYED_WORLDS = 16  # worlds that are stepped together to measure their speed
SurveyKey = tuple[str, str, str | None]  # (task, robot, level or None for the cost)


@dataclass(frozen=True)
class SurveyQuestion:
    """A measurement of the survey: of success if it has a level, else of cost."""

    subject: Subject
    level: str | None = None
    seeds: range = range(0)

    @property
    def key(self) -> SurveyKey:
        task, robot = self.subject.pair
        return task, robot, self.level

    def is_answered_by(self, row: SurveyRow) -> bool:
        """Returns whether the row has the same code, versions, level and seeds."""
        # what policies learn is measured by `embodied eval`, and answers no question
        return not isinstance(row, LearnedSuccess) and row.question == self


@dataclass(frozen=True)
class ExpertSuccess:
    """The success of an expert at one level. Times are in simulated seconds."""

    subject: Subject
    level: str
    first_seed: int
    rate: Rate  # rate of success at the end
    # lower quartile, median and upper quartile of the time to success; None if no episode
    # succeeded
    quartiles_s: tuple[float, float, float] | None
    failed_seeds: tuple[int, ...]
    faults: dict[str, int]
    real_time_factor: float  # simulated time per wall time, of all processes together

    @property
    def question(self) -> SurveyQuestion:
        seeds = range(self.first_seed, self.first_seed + self.rate.episodes)
        return SurveyQuestion(self.subject, self.level, seeds)

    @property
    def key(self) -> SurveyKey:
        return self.question.key


@dataclass(frozen=True)
class TaskCost:
    """The cost of simulating a task on one thread with the robot at rest: medians."""

    subject: Subject
    step_us: float  # time of a physics step
    contacts: int
    real_time_factor: float  # simulated time per wall time, SURVEYED_WORLDS at 20 Hz
    frames_per_s: float  # camera frames of 96x96 pixels per second

    @property
    def question(self) -> SurveyQuestion:
        return SurveyQuestion(self.subject)

    @property
    def key(self) -> SurveyKey:
        return self.question.key


SurveyRow = ExpertSuccess | TaskCost | LearnedSuccess
SURVEY_ROWS: dict[str, type[SurveyRow]] = {
    "success": ExpertSuccess,
    "cost": TaskCost,
    "learned": LearnedSuccess,
}


def plan_survey(
    pairs: Sequence[Pair], levels: Sequence[str], seeds: range, costs: bool = True
) -> list[SurveyQuestion]:
    """Returns the measurements of a survey.

    Costs come first, so that they are measured before the worker processes start.

    Raises:
        EmbodiedError: a level does not exist.
    """
    for level in levels:
        if level not in LEVELS:
            raise unknown("level", level, LEVELS)

    # once per pair, because `Subject.now` builds worlds, which takes time
    subjects = [Subject.now(*pair) for pair in pairs]
    cost_questions = [SurveyQuestion(subject) for subject in subjects] if costs else []
    success_questions = [
        SurveyQuestion(subject, level, seeds)
        for subject in subjects
        for level in levels
    ]
    return cost_questions + success_questions


def measure_success(
    question: SurveyQuestion,
    title: str,
    workers: Executor,
    stage: Stage,
    num_envs: int,
) -> ExpertSuccess:
    """Runs the expert with plans that arrive at once.

    Args:
        question: the task, the robot, the level and the seeds.
        title: the title of the progress display.
        workers: runs the episodes.
        stage: shows the progress.
        num_envs: number of worlds that a process runs at once; it does not affect
            results.
    """
    # One policy, level and timing make one trial. A question about success has a level;
    # the `or` is only for the type checker.
    subject = question.subject
    trials = plan_trials(
        {"expert": "expert"},
        TaskChoice(subject.task, robot=subject.robot),
        levels=[question.level or "L2"],
        timings=[Timing()],
        seeds=question.seeds,
        num_envs=num_envs,
    )

    trial = replace(trials[0], label=title)
    cell = measure(trial, workers, stage)
    return _success_row(subject, cell)


def _success_row(subject: Subject, cell: Cell) -> ExpertSuccess:
    """Returns the row of a measured cell in the survey of success rates."""
    summary = summarize(cell)

    # without any success there is no time to success
    time_s = summary.time_to_success_s
    quartiles_s = None
    if time_s is not None:
        quartiles_s = (time_s.lower_quartile, time_s.median, time_s.upper_quartile)

    return ExpertSuccess(
        subject=subject,
        level=cell.condition.level,
        first_seed=cell.condition.first_seed,
        rate=summary.success_at_end,
        quartiles_s=quartiles_s,
        failed_seeds=tuple(e.seed for e in cell.episodes if not e.success_at_end),
        faults=summary.faults,
        real_time_factor=summary.real_time_factor,
    )


def measure_cost(question: SurveyQuestion) -> TaskCost:
    """Measures the figures of `embodied bench` that make up the cost of a task."""
    config = bench_config(*question.subject.pair)
    step, contacts = measure_physics(config)
    speed = measure_stepping(config, SURVEYED_WORLDS).speed
    return TaskCost(
        subject=question.subject,
        step_us=step.median,
        contacts=int(contacts.median),
        real_time_factor=speed.median,
        frames_per_s=measure_frames(config).median,
    )
