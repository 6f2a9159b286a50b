"""A trained policy on disk: weights as safetensors, everything else as JSON; nothing in
it is executed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from embodied.core import PolicySpec
from embodied.errors import EmbodiedError
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.training.checkpoint import (
    optimizer_state,
    optimizer_tensors,
    write_json,
    write_tensors,
)
from embodied.policies.vla.agents import ChunkController, VLAPlanner
from embodied.policies.vla.network import DualSystemNet, NetConfig

SCHEMA_VERSION = 1
WEIGHTS = "policy.safetensors"
INFO = "policy.json"
HISTORY = "history.json"
CHECKPOINT = "checkpoint.safetensors"
CHECKPOINT_INFO = "checkpoint.json"


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
        stored = {
            **asdict(self),
            "schema_version": SCHEMA_VERSION,
            "net": self.net.to_json(),
        }
        return {
            **stored,
            "versions": {name: version(name) for name in ("embodied-ground", "torch")},
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> RunInfo:
        spec = PolicySpec(
            **{**stored["spec"], "cameras": tuple(stored["spec"]["cameras"])}
        )
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
        write_json(self.path / INFO, info.to_json())
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
        history = json.loads((self.path / HISTORY).read_text())
        optimizer = optimizer_state(load_file(self.path / CHECKPOINT), stored["groups"])
        return {
            "optimizer": optimizer,
            "step": stored["step"],
            "seconds": stored["seconds"],
            "history": history,
        }


def read_json(path: Path) -> dict[str, Any]:
    """What a run folder says of itself, of whatever kind it is.

    Raises EmbodiedError where it is no run folder, or one of another version.
    """
    file = path / INFO
    if not file.is_file():
        raise EmbodiedError(
            f"{path} is not a run folder: no {INFO} in it. `embodied train` makes one."
        )
    try:
        stored: Any = json.loads(file.read_text())
    except ValueError as error:  # covers JSON and UTF-8 errors
        raise EmbodiedError(f"{file} is not JSON: {error}") from error
    if not isinstance(stored, dict):
        raise EmbodiedError(
            f"{file} holds a {type(stored).__name__}, not what a run says of itself"
        )
    if stored.get("schema_version") != SCHEMA_VERSION:
        raise EmbodiedError(
            f"{file} has schema version {stored.get('schema_version')}; this package reads {SCHEMA_VERSION}"
        )
    return stored


def read_run(path: Path) -> RunInfo:
    """What the run folder of a dual system says. Raises EmbodiedError as `read_json`."""
    return RunInfo.from_json(read_json(path))


def load_net(path: Path) -> DualSystemNet:
    """The networks of a run folder, ready to infer."""
    net = DualSystemNet(read_run(path).net)
    try:
        net.load_state_dict(load_file(path / WEIGHTS))
    except Exception as error:
        raise EmbodiedError(
            f"the weights {path / WEIGHTS} do not fit {INFO}: {str(error).splitlines()[0]}"
        ) from error
    return net.eval()


def load_policy(path: Path, dual: DualSystemConfig | None = None) -> DualSystem:
    """The dual system of a run folder, with other timing where `dual` says so."""
    info = read_run(path)
    net = load_net(path)
    config = dual or DualSystemConfig(planner_hz=info.planner_hz)
    return DualSystem(
        VLAPlanner(net), ChunkController(net, info.spec), config, spec=info.spec
    )
