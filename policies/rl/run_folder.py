"""The run folder of an actor that reinforcement learning trained."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from embodied.core import Policy, PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.worlds import Worlds
from embodied.files import replace_bytes
from embodied.policies.checkpoint import load_weights
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.registry import TrainedFor, find_policy
from embodied.policies.rl.actor import Actor, ActorConfig, ActorPolicy
from embodied.policies.rl.residual import BASE_FOLDER, Residual, ResidualPolicy
from embodied.policies.run_folder import (
    CHECKPOINT,
    CURVES,
    HISTORY,
    INFO,
    WEIGHTS,
    check_worlds,
    policy_spec_from_json,
    weights_hash,
)

KIND = "actor"  # a key of `policies.registry.RUN_KINDS`
_POLICY_FILES = (WEIGHTS, INFO, HISTORY)  # files of a base that are copied
# The files that a new training replaces.
FILES = (
    *_POLICY_FILES,
    CHECKPOINT,
    CURVES,
    *(f"{BASE_FOLDER}/{name}" for name in _POLICY_FILES),
)


@dataclass(frozen=True)
class ActorInfo:
    """The information that is needed to use an actor.

    Attributes:
        task: the task's name.
        robot: the robot's name.
        spec: the policy's requirements on the worlds.
        net: the sizes and functions of the network.
        algorithm: the algorithm that trained the policy.
        stage: the stage of the task to be learned; "" for the whole task.
        metadata: the metadata of the worlds of the training.
        residual: the base policy that the actor corrects; None if the actor acts alone.
    """

    task: str
    robot: str
    spec: PolicySpec
    net: ActorConfig
    algorithm: str
    stage: str
    metadata: dict[str, Any]
    residual: Residual | None = None

    @property
    def planner_hz(self) -> float | None:
        """Plans per second of the base; None without plans."""
        return self.residual.planner_hz if self.residual else None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "kind": KIND}


def read_actor_info(stored: dict[str, Any]) -> ActorInfo:
    """Returns the info of a run folder from its JSON."""
    residual = stored.get("residual")
    return ActorInfo(
        task=stored["task"],
        robot=stored["robot"],
        spec=policy_spec_from_json(stored["spec"]),
        net=ActorConfig.from_json(stored["net"]),
        algorithm=stored["algorithm"],
        stage=stored["stage"],
        metadata=stored["metadata"],
        residual=Residual(**residual) if residual else None,
    )


@dataclass(frozen=True)
class ActorRun:
    """The source of a policy that reinforcement learning trained: a run folder."""

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
        """Returns the policy's requirements; raises EmbodiedError if the run does not fit."""
        # make the policy once, so that a wrong task or robot, or damaged weights, are found
        # before an evaluation begins
        mode = self.info.spec.control_mode
        with closing(Worlds(EnvConfig(task, robot=robot, control_mode=mode))) as worlds:
            self.make(worlds)
        return self.info.spec

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> Policy:
        """Returns the policy for these worlds: the actor, with its base if it corrects one."""
        check_worlds(self.folder, self.info.metadata, worlds)
        actor = load_actor(self.folder, self.info)
        residual = self.info.residual
        if residual is None:
            return actor

        # if the base is a run, it was copied into this run's folder
        base_name = residual.base
        if base_name == BASE_FOLDER:
            base_name = str(self.folder / BASE_FOLDER)
        base = find_policy(base_name).make(worlds, dual)
        return ResidualPolicy(base, actor, residual)


def load_actor(folder: Path, info: ActorInfo) -> ActorPolicy:
    """Returns the policy of a run folder.

    Raises:
        EmbodiedError: the sizes of the weights do not match the info.
    """
    actor = Actor(info.net)
    load_weights(actor, folder)
    return ActorPolicy(actor, info.spec)


def copy_base(residual: Residual | None, folder: Path) -> Residual | None:
    """Copies the base of a residual into a run folder, so that the run is self-contained.

    Nothing is copied if there is no residual, or if its base is not a run folder.

    Args:
        residual: the residual; None if the run corrects no base.
        folder: the run folder.

    Returns:
        The residual with the copy as its base, or the given residual.
    """
    if residual is None or not Path(residual.base).is_dir():
        return residual
    _copy_run(Path(residual.base), folder / BASE_FOLDER)
    return replace(residual, base=BASE_FOLDER)


def _copy_run(source: Path, target: Path) -> None:
    """Copies the files of a run's policy, and the files of its base if it has one."""
    target.mkdir(parents=True, exist_ok=True)
    for name in _POLICY_FILES:
        replace_bytes(target / name, (source / name).read_bytes())
    if (source / BASE_FOLDER).is_dir():
        _copy_run(source / BASE_FOLDER, target / BASE_FOLDER)
