"""An actor on disk: weights as safetensors, everything else as JSON; nothing in it is
executed.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embodied.core import Policy, PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.checkpoint import load_weights, write_tensors
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.registry import TrainedFor, find_policy
from embodied.policies.rl.actor import Actor, ActorConfig, ActorPolicy
from embodied.policies.rl.residual import BASE_FOLDER, Residual, ResidualPolicy
from embodied.policies.run_folder import (
    CHECKPOINT,
    HISTORY,
    INFO,
    WEIGHTS,
    check_worlds,
    policy_spec_from_json,
    read_info,
    weights_hash,
    write_info,
    write_json,
)

if TYPE_CHECKING:
    from embodied.policies.rl.config import LearnConfig
    from embodied.policies.rl.learn import Learned

KIND = "actor"
SAME = (
    *("task", "robot", "algorithm", "stage", "level", "num_envs", "seed", "engine"),
    *("demonstrations", "base", "residual", "delay_ms"),
)  # in a run that is gone on with
FILES = (
    *(WEIGHTS, INFO, HISTORY, CHECKPOINT),
    *(f"{BASE_FOLDER}/{name}" for name in (WEIGHTS, INFO, HISTORY)),
)  # that a new training replaces


@dataclass(frozen=True)
class ActorInfo:
    """What must be known to use an actor: what it was trained for, and how."""

    task: str
    robot: str
    spec: PolicySpec
    net: ActorConfig
    algorithm: str
    stage: str
    metadata: dict[str, Any]
    residual: Residual | None = None  # what it corrects; None: it acts by itself

    @property
    def planner_hz(self) -> float | None:
        """None where nothing plans."""
        return self.residual.planner_hz if self.residual else None


def save_learned(folder: Path, learned: Learned, config: LearnConfig) -> None:
    """Writes the run folder of what was learned, and a copy of the run that it corrects
    into it.
    """
    metadata = learned.metadata
    residual = learned.residual
    if residual is not None and Path(residual.base).is_dir():
        copy_run(Path(residual.base), folder / BASE_FOLDER)
        residual = replace(residual, base=BASE_FOLDER)
    what = (
        metadata["task"],
        metadata["robot"],
        learned.spec,
        learned.actor.config,
        config.algorithm,
        config.stage,
    )
    save_actor(
        folder, learned.actor, ActorInfo(*what, metadata, residual), learned.history
    )


def check_same(config: LearnConfig, run: Path) -> None:
    """Raises EmbodiedError where a run folder is of another training than `config`
    says.
    """
    if not (run / INFO).exists():
        return
    stored = read_info(run)
    before = (
        stored["metadata"].get("learning", {}) if stored.get("kind") == KIND else {}
    )
    now = what_is_learned(config)
    for name in SAME:
        if before.get(name) != now[name]:
            raise EmbodiedError(
                f"{run} was trained with {name} {before.get(name)!r}, not {now[name]!r}"
            )


def what_is_learned(config: LearnConfig) -> dict[str, Any]:
    """The training in words that can be compared."""
    task = get_task(config.task)
    return {
        **asdict(config),
        "task": task.name,
        "robot": config.robot or task.default_robot,
    }


def copy_run(source: Path, target: Path) -> None:
    """The files of a run that its policy needs; of a run that corrects another, that
    one's too.
    """
    target.mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS, INFO, HISTORY):
        shutil.copyfile(source / name, target / name)
    if (source / BASE_FOLDER).is_dir():
        copy_run(source / BASE_FOLDER, target / BASE_FOLDER)


def save_actor(
    folder: Path, actor: Actor, info: ActorInfo, history: list[dict[str, float]]
) -> None:
    """Writes a run folder; each file is replaced whole, the one that makes it a run
    last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / WEIGHTS, actor.state_dict())
    write_json(folder / HISTORY, history)
    write_info(
        folder,
        {**asdict(info), "kind": KIND},
        packages=("torch", "stable-baselines3"),
    )


def read_actor_info(stored: dict[str, Any]) -> ActorInfo:
    """From the JSON of a run folder."""
    spec = policy_spec_from_json(stored["spec"])
    rest = {
        name: stored[name]
        for name in ("task", "robot", "algorithm", "stage", "metadata")
    }
    residual = Residual(**stored["residual"]) if stored.get("residual") else None
    return ActorInfo(
        spec=spec, net=ActorConfig.from_json(stored["net"]), residual=residual, **rest
    )


@dataclass(frozen=True)
class ActorRun:
    """The source of a policy that reinforcement learning found: a run folder."""

    folder: Path
    info: ActorInfo

    @classmethod
    def of(cls, folder: Path, stored: dict[str, Any]) -> ActorRun:
        """Returns the run of a folder, given the JSON in it."""
        return cls(folder, read_actor_info(stored))

    @property
    def planner_hz(self) -> float | None:
        return self.info.planner_hz

    @property
    def weights_hash(self) -> str:
        return weights_hash(self.folder)

    @property
    def trained_for(self) -> TrainedFor:
        return TrainedFor(self.info.stage, self.info.metadata["config"]["level"])

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        mode = self.info.spec.control_mode
        with closing(Worlds(EnvConfig(task, robot=robot, control_mode=mode))) as worlds:
            # Wrong weights show here, before anything is measured.
            self.make(worlds)
        return self.info.spec

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> Policy:
        check_worlds(self.folder, self.info.metadata, worlds)
        actor = load_actor(self.folder, self.info)
        residual = self.info.residual
        if residual is None:
            return actor

        name = residual.base
        if name == BASE_FOLDER:
            name = str(self.folder / BASE_FOLDER)
        base = find_policy(name).make(worlds, dual)
        return ResidualPolicy(base, actor, residual)


def load_actor(folder: Path, info: ActorInfo) -> ActorPolicy:
    """The policy of a run folder. Raises EmbodiedError where its weights don't fit."""
    actor = Actor(info.net)
    load_weights(actor, folder)
    return ActorPolicy(actor, info.spec)
