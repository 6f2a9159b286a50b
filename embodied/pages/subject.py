"""The subject of figures: a task with one of its robots, in the current code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from embodied.benchmark.results_code import results_code_hash
from embodied.envs.config import EnvConfig
from embodied.envs.registry import (
    DESCRIPTION_SUFFIX,
    get_robot,
    get_task,
    robots_for,
)
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
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
    """Returns each task with each robot that fits it, of those in `robots` if given.

    Args:
        tasks: names.
        robots: names, teams or paths of descriptions; None for all that are registered.

    Raises:
        EmbodiedError: a task or robot does not exist, or a robot fits none of the tasks.
    """
    specs = [get_task(name) for name in tasks]
    known = dict.fromkeys(robot for spec in specs for robot in robots_for(spec))
    others = [robot for robot in robots or () if robot not in known]
    pairs = []
    for spec in specs:
        wanted = known if robots is None else robots
        pairs += [(spec.name, robot) for robot in robots_for(spec) if robot in wanted]
        pairs += [
            (spec.name, robot)
            for robot in others
            if not spec.needs.missing(get_robot(robot))
        ]

    fitting = {robot for _, robot in pairs}
    for robot in others:
        if robot not in fitting:
            lacks = "; ".join(specs[0].needs.missing(get_robot(robot)))
            raise EmbodiedError(
                f"robot {robot} fits none of these tasks: for {specs[0].name} it lacks "
                f"{lacks}; fitting: {', '.join(known)}"
            )
    return pairs


def shown_pairs(tasks: Sequence[str], ledger: Ledger[Any]) -> list[Pair]:
    """Returns the pairs of a page: all of registered robots, then measured descriptions."""
    measured = (row.subject.pair for row in ledger.rows)
    described = [pair for pair in measured if DESCRIPTION_SUFFIX in pair[1]]
    return list(dict.fromkeys([*choose_pairs(tasks, None), *described]))


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
