"""The subject of figures: a task with one of its robots, in the current code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from embodied.benchmark.results_code import results_code_hash
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task, robots_for
from embodied.envs.worlds import Worlds
from embodied.errors import unknown
from embodied.pages.ledger import Ledger

HOST = "cpu"  # key of the host in `Ledger.machines`
Pair = tuple[str, str]  # task, robot


@dataclass(frozen=True)
class Subject:
    """A task with one of its robots, and the code, model and versions behind them.

    Figures whose subject differs in any of these are outdated.
    """

    task: str
    robot: str
    code_hash: str
    model_hash: str
    versions: dict[str, str]

    @classmethod
    def now(cls, task: str, robot: str) -> Subject:
        """Returns the task and robot with the current code, model and versions."""
        worlds = Worlds(EnvConfig(task, robot=robot))
        metadata = worlds.metadata()
        code = results_code_hash(worlds)
        worlds.close()
        return cls(task, robot, code, metadata["model_hash"], metadata["versions"])

    @property
    def pair(self) -> Pair:
        return self.task, self.robot


def choose_pairs(tasks: Sequence[str], robots: Sequence[str] | None) -> list[Pair]:
    """Returns each task with each of its robots; only those in `robots` if given.

    Raises:
        EmbodiedError: a task or robot does not exist.
    """
    # a robot that fits none of the tasks is an error, not an empty result
    specs = [get_task(name) for name in tasks]
    known = dict.fromkeys(robot for spec in specs for robot in robots_for(spec))
    for robot in robots or ():
        if robot not in known:
            raise unknown("robot for these tasks", robot, known)

    wanted = known if robots is None else robots
    return [
        (spec.name, robot)
        for spec in specs
        for robot in robots_for(spec)
        if robot in wanted
    ]


def versions_and_host(ledger: Ledger[Any], subjects: Iterable[Subject]) -> str:
    """Returns a sentence on the packages and machine that rows were measured with."""
    # without repetitions, because subjects usually have the same versions
    version_lists = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in subject.versions.items())
        for subject in subjects
    )

    machine = "no machine"
    if HOST in ledger.machines:
        host = ledger.machines[HOST]
        machine = f"{host['cores']} cores of {host['processor']}, {host['system']}"

    return f"{'; '.join(version_lists)}. {machine}."
