"""A trained policy on disk: weights as safetensors, everything else as JSON; nothing in
it is executed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from embodied.core import PolicySpec
from embodied.policies.checkpoint import load_weights
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.run_folder import policy_spec_from_json, read_info
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
