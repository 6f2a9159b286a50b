"""What figures are about: a task with one of its robots, as the code is now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from embodied.benchmark.place_code import code_of
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task, robots_for
from embodied.envs.worlds import Worlds
from embodied.errors import unknown
from embodied.pages.ledger import Ledger

HOST = "cpu"  # the device that a ledger's host is listed under
Pair = tuple[str, str]  # task, robot


@dataclass(frozen=True)
class Subject:
    """A task with one of its robots, and the code, model and versions that make them.

    Figures about a subject that differs in any of these are out of date.
    """

    task: str
    robot: str
    code_hash: str
    model_hash: str
    versions: dict[str, str]

    @classmethod
    def now(cls, task: str, robot: str) -> Subject:
        """Returns the task and robot as they are in this process."""
        worlds = Worlds(EnvConfig(task, robot=robot))
        metadata = worlds.metadata()
        code = code_of(worlds)
        worlds.close()
        return cls(task, robot, code, metadata["model_hash"], metadata["versions"])

    @property
    def pair(self) -> Pair:
        return self.task, self.robot


def choose_pairs(tasks: Sequence[str], robots: Sequence[str] | None) -> list[Pair]:
    """Returns each task with all its robots, or with those of them that are named.

    Raises:
        EmbodiedError: a task or robot does not exist.
    """
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
    version_lists = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in subject.versions.items())
        for subject in subjects
    )

    machine = "no machine"
    if HOST in ledger.machines:
        host = ledger.machines[HOST]
        machine = f"{host['cores']} cores of {host['processor']}, {host['system']}"

    return f"{'; '.join(version_lists)}. {machine}."
