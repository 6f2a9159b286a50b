"""A trained policy on disk: weights as safetensors, everything else as JSON; nothing in
it is executed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from embodied.core import PolicySpec
from embodied.policies.checkpoint import (
    load_weights,
    optimizer_state,
    optimizer_tensors,
    write_tensors,
)
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.run_folder import (
    CHECKPOINT,
    CHECKPOINT_INFO,
    HISTORY,
    WEIGHTS,
    policy_spec_from_json,
    read_history,
    read_info,
    write_info,
    write_json,
)
from embodied.policies.vla.agents import ChunkController, VLAPlanner
from embodied.policies.vla.network import DualSystemNet, NetConfig


@dataclass(frozen=True)
class RunInfo:
    """What must be known to use a run: what it was trained for and on."""

    task: str
    robot: str
    spec: PolicySpec
    net: NetConfig
    planner_hz: float
    datasets: tuple[str, ...]
    metadata: dict[str, Any]

    @classmethod
    def of(
        cls, net: NetConfig, metadata: dict[str, Any], datasets: Sequence[Path]
    ) -> RunInfo:
        """For networks trained on datasets with this metadata."""
        config = metadata["config"]
        spec = PolicySpec(
            control_mode=config["control_mode"],
            control_hz=config["control_hz"],
            cameras=net.cameras,
            camera_hz=config["camera_hz"],
            image_size=net.image_size,
        )
        planner_hz = float(metadata.get("planner_hz") or 8.0)
        names = tuple(str(path) for path in datasets)
        return cls(
            metadata["task"], metadata["robot"], spec, net, planner_hz, names, metadata
        )

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "net": self.net.to_json()}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> RunInfo:
        spec = policy_spec_from_json(stored["spec"])
        net = NetConfig.from_json(stored["net"])
        names = tuple(stored["datasets"])
        return cls(
            stored["task"],
            stored["robot"],
            spec,
            net,
            stored["planner_hz"],
            names,
            stored["metadata"],
        )


class RunFolder:
    """Reads and writes the files of a run; each is replaced whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def has_checkpoint(self) -> bool:
        return (self.path / CHECKPOINT_INFO).exists()

    def save(
        self,
        net: DualSystemNet,
        info: RunInfo,
        history: list[dict[str, float]],
        progress: dict[str, Any] | None,
    ) -> None:
        """Writes weights, info and history; with `progress` (an optimiser's state) a
        checkpoint, else removes it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        write_tensors(self.path / WEIGHTS, net.state_dict())
        write_info(self.path, info.to_json(), packages=("torch",))
        write_json(self.path / HISTORY, history)
        if progress is None:
            for name in (CHECKPOINT, CHECKPOINT_INFO):
                (self.path / name).unlink(missing_ok=True)
            return
        write_tensors(self.path / CHECKPOINT, optimizer_tensors(progress["optimizer"]))
        groups = progress["optimizer"]["param_groups"]
        stored = {
            "step": progress["step"],
            "seconds": progress["seconds"],
            "groups": groups,
        }
        write_json(self.path / CHECKPOINT_INFO, stored)

    def load_checkpoint(self, net: DualSystemNet) -> dict[str, Any]:
        """Puts the weights into `net`; returns optimiser state, step, seconds and
        history.
        """
        net.load_state_dict(load_file(self.path / WEIGHTS))
        stored = json.loads((self.path / CHECKPOINT_INFO).read_text())
        history = read_history(self.path)
        optimizer = optimizer_state(load_file(self.path / CHECKPOINT), stored["groups"])
        return {
            "optimizer": optimizer,
            "step": stored["step"],
            "seconds": stored["seconds"],
            "history": history,
        }


def read_run(path: Path) -> RunInfo:
    """What the run folder of a dual system says. Raises EmbodiedError as `read_info`."""
    return RunInfo.from_json(read_info(path))


def load_net(path: Path) -> DualSystemNet:
    """The networks of a run folder, ready to infer."""
    net = DualSystemNet(read_run(path).net)
    load_weights(net, path)
    return net.eval()


def load_policy(path: Path, dual: DualSystemConfig | None = None) -> DualSystem:
    """The dual system of a run folder, with other timing where `dual` says so."""
    info = read_run(path)
    net = load_net(path)
    config = dual or DualSystemConfig(planner_hz=info.planner_hz)
    return DualSystem(
        VLAPlanner(net), ChunkController(net, info.spec), config, spec=info.spec
    )
