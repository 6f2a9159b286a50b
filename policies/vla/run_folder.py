"""The run folder of a vision-language-action (VLA) policy."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from embodied.core import PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.worlds import Worlds
from embodied.plan import Controller, Planner
from embodied.policies.assembly import dual_system
from embodied.policies.checkpoint import load_weights
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.run_folder import (
    check_worlds,
    policy_spec_from_json,
    read_info,
    tasks_of,
    weights_hash,
)
from embodied.policies.vla.agents import ChunkController, VLAPlanner
from embodied.policies.vla.head_config import HeadConfig
from embodied.policies.vla.network import DualSystemNet, NetConfig

# keys of `policies.registry.RUN_KINDS`: a dual system, and a single one
KIND = "vla"
SINGLE_KIND = "single"
DEFAULT_PLANNER_HZ = 8.0  # if the datasets store no rate


@dataclass(frozen=True)
class RunInfo:
    """The information that is needed to use a run's networks.

    Attributes:
        tasks: the names of the tasks in the datasets.
        robot: the robot's name.
        spec: the policy's requirements on the worlds.
        net: the sizes of the networks.
        planner_hz: plans per second in the datasets.
        datasets: the paths of the datasets.
        metadata: the metadata of the worlds in which the datasets were recorded.
        head: the action head of a single system; None for a dual system.
    """

    tasks: tuple[str, ...]
    robot: str
    spec: PolicySpec
    net: NetConfig
    planner_hz: float
    datasets: tuple[str, ...]
    metadata: dict[str, Any]
    head: HeadConfig | None = None

    @classmethod
    def of(
        cls,
        net: NetConfig,
        metadata: dict[str, Any],
        tasks: Sequence[str],
        datasets: Sequence[Path],
        head: HeadConfig | None = None,
    ) -> RunInfo:
        """Returns the info of networks trained on datasets of these tasks.

        Args:
            net: the sizes of the networks.
            metadata: the metadata of the datasets, which they share except for the task.
            tasks: the names of the tasks.
            datasets: the paths of the datasets.
            head: the action head of a single system; None for a dual system.
        """
        config = metadata["config"]

        return cls(
            tasks=tuple(tasks),
            robot=metadata["robot"],
            spec=PolicySpec(
                control_mode=config["control_mode"],
                control_hz=config["control_hz"],
                cameras=net.cameras,
                camera_hz=config["camera_hz"],
                image_size=net.image_size,
            ),
            net=net,
            planner_hz=float(metadata.get("planner_hz") or DEFAULT_PLANNER_HZ),
            datasets=tuple(str(path) for path in datasets),
            metadata=metadata,
            head=head,
        )

    def check_worlds(self, folder: Path, worlds: Worlds) -> None:
        """Raises EmbodiedError if the run in a folder was not trained for these worlds."""
        task = worlds.spec.name
        if task not in self.tasks:
            task = " or ".join(self.tasks)
        trained_in = {**self.metadata, "task": task, "robot": self.robot}
        check_worlds(folder, trained_in, worlds)

    def to_json(self) -> dict[str, Any]:
        kind = KIND if self.head is None else SINGLE_KIND
        return {**asdict(self), "net": self.net.to_json(), "kind": kind}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> RunInfo:
        """Returns the information in the JSON value that a run's folder stores."""
        # a dual system has none, and older runs have no such entry
        head = stored.get("head")
        return cls(
            tasks=tasks_of(stored),
            robot=stored["robot"],
            spec=policy_spec_from_json(stored["spec"]),
            net=NetConfig.from_json(stored["net"]),
            planner_hz=stored["planner_hz"],
            datasets=tuple(stored["datasets"]),
            metadata=stored["metadata"],
            head=None if head is None else HeadConfig(**head),
        )


@dataclass(frozen=True)
class ImitationRun:
    """The base of the sources of policies in run folders of imitation learning."""

    folder: Path
    info: RunInfo

    trained_for = None  # only reinforcement learning trains for one stage and level

    @classmethod
    def of(cls, folder: Path, stored: dict[str, Any]) -> Self:
        """Returns the run of a folder, given the JSON in it."""
        return cls(folder, RunInfo.from_json(stored))

    @property
    def planner_hz(self) -> float:
        return self.info.planner_hz

    @property
    def weights_hash(self) -> str:
        return weights_hash(self.folder)

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        """Returns the policy's requirements; raises EmbodiedError if the run does not fit."""
        # make the policy once, so that a wrong task or robot, or damaged weights, are found
        # before an evaluation begins
        mode = self.info.spec.control_mode
        with closing(Worlds(EnvConfig(task, robot=robot, control_mode=mode))) as worlds:
            self.make(worlds)
        return self.info.spec

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> DualSystem:
        """Returns the policy for these worlds; `dual` replaces the default timing of plans."""
        self.info.check_worlds(self.folder, worlds)
        planner, controller = self._agents(worlds)
        return dual_system(
            worlds,
            planner,
            controller,
            spec=self.info.spec,
            config=dual or DualSystemConfig(planner_hz=self.planner_hz),
        )

    def _agents(self, worlds: Worlds) -> tuple[Planner, Controller]:
        """Returns the planner and the controller for these worlds, which fit the run."""
        raise NotImplementedError


class VLARun(ImitationRun):
    """The source of a policy in a run folder of the dual system."""

    def _agents(self, worlds: Worlds) -> tuple[Planner, Controller]:
        net = load_net(self.folder)
        return VLAPlanner(net), ChunkController(net, self.info.spec)


def read_run(path: Path) -> RunInfo:
    """Returns the info of a run folder.

    Raises:
        EmbodiedError: see `read_info`.
    """
    return RunInfo.from_json(read_info(path))


def load_net(path: Path) -> DualSystemNet:
    """Returns the networks of a run folder, ready to infer."""
    net = DualSystemNet(read_run(path).net)
    load_weights(net, path)
    return net.eval()
