"""The factors that all tasks share: light, camera, robot, dynamics and sensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied.envs.variation import Variation, row
from embodied.robots.parts.arm import Arm
from embodied.robots.parts.base import Base
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# Values of the unit "x" are factors on the nominal value. The formatter is off, because it
# would spread a row of the table over many lines.
# fmt: off
COMMON = (
    row("brightness", "light", "x",
        L1=1.0, L2=(0.95, 1.05), L3=(0.8, 1.2), held_out=(0.55, 0.8)),
    row("lamp_tilt", "light", "rad",
        L1=0.0, L2=(-0.05, 0.05), L3=(-0.3, 0.3), held_out=(0.3, 0.5)),
    row("floor_shade", "light", "x",
        L1=1.0, L3=(0.85, 1.15), held_out=(0.6, 0.85)),
    row("camera_shift", "camera", "m",
        L1=0.0, L3=(-0.015, 0.015), held_out=(0.015, 0.05)),
    row("camera_fovy", "camera", "deg",
        L1=0.0, L3=(-0.5, 0.5), held_out=(0.5, 2.0)),
    row("joint_start", "robot", "rad",
        L1=(-0.06, 0.06), L2=(-0.08, 0.08), L3=(-0.10, 0.10), held_out=(0.10, 0.14)),
    row("base_start", "robot", "m, rad",  # x, y and yaw
        L1=(-0.05, 0.05), L2=(-0.10, 0.10), L3=(-0.15, 0.15), held_out=(0.15, 0.20)),
    row("servo_gain", "dynamics", "x",
        L1=1.0, L3=(0.85, 1.15), held_out=(0.7, 0.85)),
    row("pad_friction", "dynamics", "x",
        L1=1.0, L3=(0.85, 1.2), held_out=(0.75, 0.85)),
    row("encoder_bias", "sensor", "rad",
        L1=0.0, L3=(-0.002, 0.002), held_out=(0.002, 0.004)),
    row("pixel_noise", "sensor", "levels",
        L1=0.0, L3=(0.0, 3.0), held_out=(3.0, 8.0)),
)
# fmt: on

# Variables that have one value per episode; other variables have one for each joint or
# axis.
SINGLE_VALUES = (
    "brightness",
    "lamp_tilt",
    "floor_shade",
    "camera_fovy",
    "servo_gain",
    "pad_friction",
    "pixel_noise",
)
# Variables that change only pictures, not the physics.
LOOKS = (
    "brightness",
    "lamp_tilt",
    "floor_shade",
    "camera_shift",
    "camera_fovy",
    "pixel_noise",
)
# Fields of the MuJoCo model that these factors write.
VARIED_FIELDS = (
    "light_diffuse",
    "light_dir",
    "geom_rgba",
    "cam_pos",
    "cam_fovy",
    "geom_friction",
    "actuator_gainprm",
    "actuator_biasprm",
)


@dataclass(frozen=True)
class SensorNoise:
    """The sensor errors of one world."""

    # (J,) the constant error of each joint's encoder: rad, or m for joints that slide
    encoder_bias: np.ndarray
    pixel_sigma: float  # standard deviation in grey levels, of 255


class CommonFactors:
    """Applies the shared factors to one world at a time, before its episode starts."""

    def __init__(
        self,
        engine: Engine,
        robot: Robot,
        cameras: tuple[str, ...],
        base_start: tuple[float, float, float],
    ) -> None:
        """Looks up the lamp, floor, cameras, servos and pads that are varied.

        Args:
            engine: the physics of the worlds.
            robot: the robot in the worlds.
            cameras: names of the task's cameras. Only cameras fixed to the scene are
                varied, not those that the robot carries.
            base_start: the nominal start of a robot that travels: x, y in m and yaw in
                rad.
        """
        self._engine = engine
        self._robot = robot
        self._base_start = np.array(base_start)

        model = engine.model
        fixed_cameras = [name for name in cameras if name not in robot.cameras]
        arm_joints = [name for arm in robot.arms for name in arm.joints.names]
        self._num_arm_joints = len(arm_joints)
        self._cameras = [model.camera(name).id for name in fixed_cameras]
        self._lamp = model.light("lamp").id
        self._floor = model.geom("floor").id

        self._servos = [model.actuator(name).id for name in arm_joints]
        # ids of geoms: a gripper's pads have "pad" in their names
        self._pads = [i for i in range(model.ngeom) if "pad" in model.geom(i).name]
        self._qpos = [int(model.joint(name).qposadr[0]) for name in robot.joint_names]

        # the first call for a field gives each world its own values of the field
        for field in VARIED_FIELDS:
            engine.model_view(field)

    def start(
        self, world: int, seed: int, variation: Variation
    ) -> tuple[dict[str, Any], SensorNoise]:
        """Samples the shared factors of one episode and writes them to the engine.

        Args:
            world: the index of the world.
            seed: the episode's seed.
            variation: samples the values that vary.

        Returns:
            The sampled values by name of the variable, which can be stored as JSON, and
            the sensor noise that follows from these values.
        """
        num_joints = self._num_arm_joints
        sample = {name: variation.sample(seed, name) for name in SINGLE_VALUES}
        sample["camera_shift"] = variation.sample_many(seed, "camera_shift", 3)
        sample["joint_start"] = variation.sample_many(seed, "joint_start", num_joints)
        sample["encoder_bias"] = variation.sample_many(seed, "encoder_bias", num_joints)
        # sampled for every robot, although it is used only for robots that travel
        sample["base_start"] = variation.sample_many(seed, "base_start", 3)

        self.set_look(world, sample)
        self._set_dynamics(world, sample)
        self._set_pose(world, sample)
        noise = SensorNoise(self._encoder_bias(sample), float(sample["pixel_noise"]))
        return sample, noise

    def set_look(self, world: int, sample: Mapping[str, Any]) -> None:
        """Writes the light and the cameras' views of one world.

        Args:
            world: the index of the world.
            sample: name of a variable -> its value, for at least the variables in LOOKS.
        """
        self._set_light(world, sample)
        self._set_views(world, sample)

    def _set_pose(self, world: int, sample: dict[str, Any]) -> None:
        """Puts the robot near its home posture, with open grippers."""
        qpos = self._engine.view("qpos")
        qpos[world, self._qpos] = np.concatenate(self._joint_starts(sample))
        for gripper in self._robot.grippers:
            for name, open_at in zip(gripper.fingers, gripper.open_at, strict=True):
                address = int(self._engine.model.joint(name).qposadr[0])
                qpos[world, address] = open_at

    def _joint_starts(self, sample: dict[str, Any]) -> list[np.ndarray]:
        """Returns the joint positions of each part of the robot at the start, rad or m."""
        starts = []
        # "joint_start" has a sample for each joint of all arms, one arm after the other
        first = 0  # index of the next arm's first sample
        for part in self._robot.parts:
            start = np.asarray(part.joints.home)
            if isinstance(part, Arm):
                last = first + len(start)
                start = start + np.asarray(sample["joint_start"][first:last])
                first = last
            # the home of a base is its place in a team, to which the start is added
            elif isinstance(part, Base) and part.travels:
                start = start + self._base_start
                start = start + np.asarray(sample["base_start"])
            starts.append(start)
        return starts

    def _encoder_bias(self, sample: dict[str, Any]) -> np.ndarray:
        """Returns the encoder bias (J,) of all joints, 0 except for the joints of arms."""
        bias = []
        first = 0  # index of the next arm's first sample
        for part in self._robot.parts:
            count = len(part.joints)
            if isinstance(part, Arm):
                bias.append(np.asarray(sample["encoder_bias"][first : first + count]))
                first += count
            else:
                bias.append(np.zeros(count))
        return np.concatenate(bias)

    def _set_light(self, world: int, sample: Mapping[str, Any]) -> None:
        """Sets the lamp's brightness and direction, and the floor's brightness."""
        # `model` has the nominal values, which the samples scale or shift
        model = self._engine.model
        model_view = self._engine.model_view

        diffuse = model.light_diffuse[self._lamp]
        model_view("light_diffuse")[world, self._lamp] = diffuse * sample["brightness"]

        # tilt the lamp along the world's x axis
        tilt = np.array([np.sin(sample["lamp_tilt"]), 0, 0])
        direction = model.light_dir[self._lamp] + tilt
        model_view("light_dir")[world, self._lamp] = direction / np.linalg.norm(
            direction
        )

        shade = sample["floor_shade"]
        rgba = model.geom_rgba[self._floor] * np.array([shade, shade, shade, 1])
        model_view("geom_rgba")[world, self._floor] = np.clip(rgba, 0, 1)

    def _set_views(self, world: int, sample: Mapping[str, Any]) -> None:
        """Shifts the scene's cameras, and changes their fields of view."""
        model = self._engine.model
        model_view = self._engine.model_view
        ids = self._cameras
        shift = np.asarray(sample["camera_shift"])
        model_view("cam_pos")[world, ids] = model.cam_pos[ids] + shift
        model_view("cam_fovy")[world, ids] = model.cam_fovy[ids] + sample["camera_fovy"]

    def _set_dynamics(self, world: int, sample: dict[str, Any]) -> None:
        """Scales the stiffness of the arms' servos and the friction of the pads."""
        model = self._engine.model
        model_view = self._engine.model_view

        # a position servo has its stiffness in two fields: as the gain of the target, and
        # as the (negative) bias coefficient of the joint's position
        servos = self._servos
        gain = sample["servo_gain"]
        stiffness = model.actuator_gainprm[servos, 0]
        model_view("actuator_gainprm")[world, servos, 0] = stiffness * gain
        bias = model.actuator_biasprm[servos, 1]
        model_view("actuator_biasprm")[world, servos, 1] = bias * gain

        friction = model.geom_friction[self._pads, 0]
        model_view("geom_friction")[world, self._pads, 0] = (
            friction * sample["pad_friction"]
        )
