"""The factors that every task shares: light, camera, robot start, dynamics and sensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied.envs.variation import Interval, Variable, Variation, fixed
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

COMMON = (
    Variable(
        "brightness",
        "light",
        "x",
        fixed(1.0),
        Interval(0.95, 1.05),
        Interval(0.8, 1.2),
        Interval(0.55, 0.8),
    ),
    Variable(
        "lamp_tilt",
        "light",
        "rad",
        fixed(0.0),
        Interval(-0.05, 0.05),
        Interval(-0.3, 0.3),
        Interval(0.3, 0.5),
    ),
    Variable(
        "floor_shade",
        "light",
        "x",
        fixed(1.0),
        fixed(1.0),
        Interval(0.85, 1.15),
        Interval(0.6, 0.85),
    ),
    Variable(
        "camera_shift",
        "camera",
        "m",
        fixed(0.0),
        fixed(0.0),
        Interval(-0.015, 0.015),
        Interval(0.015, 0.05),
    ),
    Variable(
        "camera_fovy",
        "camera",
        "deg",
        fixed(0.0),
        fixed(0.0),
        Interval(-0.5, 0.5),
        Interval(0.5, 2.0),
    ),
    Variable(
        *("joint_start", "robot", "rad"),
        *(
            Interval(-0.06, 0.06),
            Interval(-0.08, 0.08),
            Interval(-0.10, 0.10),
            Interval(0.10, 0.14),
        ),
    ),
    Variable(
        *("base_start", "robot", "m, rad"),
        *(
            Interval(-0.05, 0.05),
            Interval(-0.10, 0.10),
            Interval(-0.15, 0.15),
            Interval(0.15, 0.20),
        ),
    ),
    Variable(
        "servo_gain",
        "dynamics",
        "x",
        fixed(1.0),
        fixed(1.0),
        Interval(0.85, 1.15),
        Interval(0.7, 0.85),
    ),
    Variable(
        "pad_friction",
        "dynamics",
        "x",
        fixed(1.0),
        fixed(1.0),
        Interval(0.85, 1.2),
        Interval(0.75, 0.85),
    ),
    Variable(
        "encoder_bias",
        "sensor",
        "rad",
        fixed(0.0),
        fixed(0.0),
        Interval(-0.002, 0.002),
        Interval(0.002, 0.004),
    ),
    Variable(
        "pixel_noise",
        "sensor",
        "levels",
        fixed(0.0),
        fixed(0.0),
        Interval(0.0, 3.0),
        Interval(3.0, 8.0),
    ),
)


@dataclass(frozen=True)
class SensorNoise:
    """What is added to one world's observations."""

    encoder_bias: np.ndarray  # (J,) rad, of base and torso m
    pixel_sigma: float


class CommonFactors:
    """Applies the shared factors to one world at a time, before its episode starts."""

    def __init__(
        self,
        engine: Engine,
        robot: Robot,
        cameras: tuple[str, ...],
        base_start: tuple[float, float, float],
    ) -> None:
        self._engine = engine
        self._robot = robot
        model = engine.model
        self._body_start = np.array(
            [*base_start[: len(robot.base_joints)], *robot.torso_home]
        )
        self._cameras = [
            model.camera(name).id for name in cameras if name not in robot.cameras
        ]
        self._lamp = model.light("lamp").id
        self._floor = model.geom("floor").id
        self._servos = [model.actuator(name).id for name in robot.joints]
        self._pads = [i for i in range(model.ngeom) if "pad" in model.geom(i).name]
        self._qpos = [int(model.joint(name).qposadr[0]) for name in robot.all_joints]
        self._fingers = [
            int(model.joint(name).qposadr[0]) for name in robot.gripper_joints
        ]
        for field in (
            "light_diffuse",
            "light_dir",
            "geom_rgba",
            "cam_pos",
            "cam_fovy",
            "geom_friction",
        ):
            engine.vary(field)
        for field in ("actuator_gainprm", "actuator_biasprm"):
            engine.vary(field)

    def start(
        self, world: int, seed: int, variation: Variation
    ) -> tuple[dict[str, Any], SensorNoise]:
        """Draws and writes the shared factors of one episode; returns what was drawn."""
        joints = len(self._robot.joints)
        drawn: dict[str, Any] = {
            name: variation.sample(seed, name)
            for name in (
                "brightness",
                "lamp_tilt",
                "floor_shade",
                "camera_fovy",
                "servo_gain",
                "pad_friction",
                "pixel_noise",
            )
        }
        drawn["camera_shift"] = variation.sample_many(seed, "camera_shift", 3)
        drawn["joint_start"] = variation.sample_many(seed, "joint_start", joints)
        drawn["encoder_bias"] = variation.sample_many(seed, "encoder_bias", joints)
        self._light(world, drawn)
        self._views(world, drawn)
        self._dynamics(world, drawn)
        body = self._body_start.copy()
        # of use to robots that drive
        drawn["base_start"] = variation.sample_many(seed, "base_start", 3)
        driven = len(self._robot.base_joints)
        body[:driven] += drawn["base_start"][:driven]
        home = np.asarray(self._robot.home) + np.asarray(drawn["joint_start"])
        self._engine.view("qpos")[world, self._qpos] = np.concatenate([body, home])
        self._engine.view("qpos")[world, self._fingers] = (
            self._robot.gripper_width_m / len(self._fingers)
        )
        # a base knows where it is
        bias = np.concatenate([np.zeros_like(body), drawn["encoder_bias"]])
        return drawn, SensorNoise(bias, float(drawn["pixel_noise"]))

    def _light(self, world: int, drawn: dict[str, Any]) -> None:
        model = self._engine.model
        vary = self._engine.vary
        vary("light_diffuse")[world, self._lamp] = (
            model.light_diffuse[self._lamp] * drawn["brightness"]
        )
        tilt = np.array([np.sin(drawn["lamp_tilt"]), 0, 0])
        direction = model.light_dir[self._lamp] + tilt
        vary("light_dir")[world, self._lamp] = direction / np.linalg.norm(direction)
        shade = model.geom_rgba[self._floor] * np.array(
            [*[drawn["floor_shade"]] * 3, 1]
        )
        vary("geom_rgba")[world, self._floor] = np.clip(shade, 0, 1)

    def _views(self, world: int, drawn: dict[str, Any]) -> None:
        model = self._engine.model
        vary = self._engine.vary
        ids = self._cameras
        vary("cam_pos")[world, ids] = model.cam_pos[ids] + np.asarray(
            drawn["camera_shift"]
        )
        vary("cam_fovy")[world, ids] = model.cam_fovy[ids] + drawn["camera_fovy"]

    def _dynamics(self, world: int, drawn: dict[str, Any]) -> None:
        model = self._engine.model
        vary = self._engine.vary
        servos = self._servos
        gain = drawn["servo_gain"]
        vary("actuator_gainprm")[world, servos, 0] = (
            model.actuator_gainprm[servos, 0] * gain
        )
        vary("actuator_biasprm")[world, servos, 1] = (
            model.actuator_biasprm[servos, 1] * gain
        )
        vary("geom_friction")[world, self._pads, 0] = (
            model.geom_friction[self._pads, 0] * drawn["pad_friction"]
        )
