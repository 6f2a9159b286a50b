"""The metadata that datasets and results store about the worlds that they come from."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from embodied.core import PHYSICS_HZ
from embodied.plain import to_python
from embodied.sim.model_facts import model_facts

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds


def worlds_metadata(worlds: Worlds) -> dict[str, Any]:
    """Returns task, robot, rates, interfaces, layouts and model, as values for JSON.

    The entry `config` is sufficient to build the same worlds again.
    """
    # in the config, replace a robot object by its name, and defaults by the robot and
    # the cameras in use; the path of a robot's description stays as it is
    robot = worlds.config.robot
    if not isinstance(robot, str):
        robot = worlds.robot.name
    chosen = {"robot": robot, "cameras": list(worlds.cameras)}

    metadata = {
        "env_id": worlds.spec.env_id,
        "task": worlds.spec.name,
        "robot": worlds.robot.name,
        "config": {**asdict(worlds.config), **chosen},
        "physics_hz": PHYSICS_HZ,
        "horizon_s": worlds.horizon_s,
        "action_interface": asdict(worlds.interface),
        "joint_interface": asdict(worlds.joint_interface),
        "agent_layout": worlds.agent_layout.parts,
        "state_layout": worlds.state_layout.parts,
        **model_facts(worlds.model),
    }
    # a robot that was read from files is identified by the files' contents
    if worlds.robot.content_hash:
        metadata["robot_hash"] = worlds.robot.content_hash

    # JSON has no numpy numbers, which tasks and robots may contain
    return to_python(metadata)
