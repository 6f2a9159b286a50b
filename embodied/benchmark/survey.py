"""The training ground measured: how often each task's expert succeeds with each robot,
and what the task costs.

A survey is a set of findings, each of which can be made apart from the others, kept,
and made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from embodied.benchmark.code_hash import code_hash
from embodied.benchmark.evaluation import Place, Timing, Trial, measure, plan_trials
from embodied.benchmark.results import Cell, summarize
from embodied.benchmark.statistics import Rate
from embodied.benchmark.throughput import bench_config, frames, physics, stepping
from embodied.envs import registry
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task
from embodied.envs.variation import LEVELS
from embodied.envs.worlds import Worlds
from embodied.errors import unknown
from embodied.policies import dual_system
from embodied.rollout import rollout
from embodied.rollout.shards import Stage, Workers

SURVEYED_WORLDS = 16  # whose speed is given
Pair = tuple[str, str]  # task, robot


@dataclass(frozen=True)
class Subject:
    """A task with one of its robots, as they were: a finding about others is out of
    date.
    """

    task: str
    robot: str
    code_hash: str
    model_hash: str
    versions: dict[str, str]

    @classmethod
    def now(cls, task: str, robot: str) -> Subject:
        """As they are."""
        worlds = Worlds(EnvConfig(task, robot=robot))
        facts = worlds.metadata()
        spec = worlds.spec
        worlds.close()
        made_of = (
            _module(part)
            for part in (spec.build, spec.bind, spec.expert, worlds.robot.build)
        )
        code = code_hash(
            (*made_of, rollout.__name__, dual_system.__name__),
            without=(registry.__name__,),
        )
        return cls(task, robot, code, facts["model_hash"], facts["versions"])

    @property
    def pair(self) -> Pair:
        return self.task, self.robot


@dataclass(frozen=True)
class Success:
    """What the expert reached at one level, in the order of the seeds; times in
    simulated seconds.
    """

    subject: Subject
    level: str
    first_seed: int
    rate: Rate  # of success at the end
    # of the time to success; None where there was none
    quartiles_s: tuple[float, float, float] | None
    failed_seeds: tuple[int, ...]
    faults: dict[str, int]
    real_time_factor: float  # of all processes together


@dataclass(frozen=True)
class Cost:
    """What a task takes of the machine on one thread, the robot at rest: medians."""

    subject: Subject
    step_us: float  # of the physics
    contacts: int
    real_time_factor: float  # of SURVEYED_WORLDS worlds at 20 Hz
    frames_per_s: float  # of 96x96 pixels


@dataclass(frozen=True)
class Question:
    """What one finding answers; without a level it asks what the task costs."""

    subject: Subject
    level: str | None = None
    seeds: range = range(0)

    def is_answered_by(self, finding: Success | Cost) -> bool:
        """Whether this is the same measurement of the same thing."""
        if finding.subject != self.subject:
            return False
        if isinstance(finding, Cost):
            return self.level is None
        seeds = range(finding.first_seed, finding.first_seed + finding.rate.episodes)
        return (finding.level, seeds) == (self.level, self.seeds)

    def is_about(self, finding: Success | Cost) -> bool:
        """Whether an answer would take this finding's place."""
        level = finding.level if isinstance(finding, Success) else None
        return (finding.subject.pair, level) == (self.subject.pair, self.level)


@dataclass(frozen=True)
class Survey:
    """All that was found so far, and by which commands on which days."""

    commands: tuple[tuple[str, str], ...] = ()  # day (ISO 8601), command line
    # that made the newest findings
    host: Mapping[str, str | int] = field(default_factory=dict)
    findings: tuple[Success | Cost, ...] = ()

    def without(self, questions: Sequence[Question]) -> Survey:
        """Without what the questions are about."""
        kept = [
            f
            for f in self.findings
            if not any(question.is_about(f) for question in questions)
        ]
        return replace(self, findings=tuple(kept))

    def missing(self, questions: Sequence[Question]) -> list[Question]:
        """Those that nothing answers yet."""
        return [
            q
            for q in questions
            if not any(q.is_answered_by(finding) for finding in self.findings)
        ]

    def with_answer(self, question: Question, finding: Success | Cost) -> Survey:
        """With the finding, in place of an older one."""
        return replace(self, findings=(*self.without([question]).findings, finding))


def _module(part: Callable[..., object]) -> str:
    """Where a function or class is written, also one that some arguments are already
    given to.
    """
    whole = part.func if isinstance(part, partial) else part
    return whole.__module__


def choose_pairs(tasks: Sequence[str], robots: Sequence[str] | None) -> list[Pair]:
    """Each task with all its robots, or with those of them that are named.

    Raises EmbodiedError for a name that does not exist.
    """
    specs = [get_task(name) for name in tasks]
    known = dict.fromkeys(robot for spec in specs for robot in spec.robots)
    for robot in robots or ():
        if robot not in known:
            raise unknown("robot for these tasks", robot, known)
    wanted = known if robots is None else robots
    return [
        (spec.name, robot) for spec in specs for robot in spec.robots if robot in wanted
    ]


def plan_questions(
    pairs: Sequence[Pair], levels: Sequence[str], seeds: range, costs: bool = True
) -> list[Question]:
    """What a survey asks: costs first, so that they are measured while the machine does
    nothing else.

    Raises EmbodiedError for an unknown level.
    """
    for level in levels:
        if level not in LEVELS:
            raise unknown("level", level, LEVELS)
    subjects = [Subject.now(*pair) for pair in pairs]
    asked = [Question(subject) for subject in subjects] if costs else []
    return [
        *asked,
        *(Question(subject, level, seeds) for subject in subjects for level in levels),
    ]


def measure_success(
    question: Question, title: str, workers: Workers, stage: Stage, num_envs: int
) -> Success:
    """Runs the expert, with plans that arrive at once."""
    subject = question.subject
    place = Place(subject.task, robot=subject.robot)
    levels = [question.level or "L2"]
    trial = plan_trials(
        {"expert": "expert"}, place, levels, [Timing()], question.seeds, num_envs
    )[0]
    return _summary(
        question, measure(Trial(trial.player, trial.condition, title), workers, stage)
    )


def _summary(question: Question, cell: Cell) -> Success:
    found = summarize(cell)
    times = found.time_to_success_s
    return Success(
        subject=question.subject,
        level=cell.condition.level,
        first_seed=cell.condition.first_seed,
        rate=found.success_at_end,
        quartiles_s=(times.lower_quartile, times.median, times.upper_quartile)
        if times
        else None,
        failed_seeds=tuple(
            episode.seed for episode in cell.episodes if not episode.success_at_end
        ),
        faults=found.faults,
        real_time_factor=found.real_time_factor,
    )


def measure_cost(question: Question) -> Cost:
    """The figures of `embodied bench` that tell what a scene costs."""
    config = bench_config(*question.subject.pair)
    step, contacts = physics(config)
    *_, speed = stepping(config, SURVEYED_WORLDS)
    pictures = frames(config)
    return Cost(
        question.subject,
        step.median,
        int(contacts.median),
        speed.median,
        pictures.median,
    )
