"""The arguments of `gymnasium.make`, checked in one place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from types import NoneType
from typing import Any

from embodied.core import PHYSICS_HZ
from embodied.envs.variation import LEVELS, SPLITS
from embodied.errors import EmbodiedError, unknown
from embodied.plain import make_fields_plain
from embodied.robots.parts.part import CONTROL_MODES
from embodied.robots.robot import Robot

OBSERVATIONS = ("state", "pixels", "both")
ENGINES = ("cpu", "warp")
DEVICES = ("cuda", "cpu")
_NAME = ((str,), "a name")
_WHOLE_NUMBER = ((Integral,), "a whole number")
_NUMBER_OR_NONE = ((Real, NoneType), "a number or None")
# Argument -> its allowed types, and what error messages call them. The argument `factors`
# is left out, because `Variation` checks it.
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "task": _NAME,
    "robot": ((str, Robot, NoneType), "a name, a Robot or None"),
    "obs": _NAME,
    "control_mode": _NAME,
    "control_hz": _WHOLE_NUMBER,
    "cameras": ((tuple, NoneType), "a tuple of names, or None"),
    "image_size": _WHOLE_NUMBER,
    "camera_hz": _NUMBER_OR_NONE,
    "level": _NAME,
    "split": _NAME,
    "engine": _NAME,
    "device": _NAME,
    "num_threads": _WHOLE_NUMBER,
    "terminate_on_success": ((bool,), "True or False"),
    "goal_progress": ((Real,), "a number"),
    "horizon_s": _NUMBER_OR_NONE,
}


@dataclass(frozen=True)
class EnvConfig:
    """Describes the worlds of a task: their contents, control and observations.

    Numpy's numbers are converted to Python's.

    Attributes:
        task: name of the task.
        robot: name of the robot, or a robot object; None for the task's default robot.
        obs: what observations have besides proprioception, one of OBSERVATIONS.
        control_mode: one of CONTROL_MODES.
        control_hz: actions per second; PHYSICS_HZ must be a multiple of it.
        cameras: names of the policy's cameras; None for the task's cameras.
        image_size: height and width of frames in pixels.
        camera_hz: frames per second; None for one frame per control step.
        level: the level of variation between episodes, one of LEVELS.
        split: the factor whose held-out values are sampled; "train" for none, "all" for
            all factors.
        factors: name of a variable in the task's table -> its value in every episode,
            such as {"mass": 0.5}.
        engine: one of ENGINES.
        device: the device of the engine "warp"; "cpu" for trials without a GPU.
        num_threads: number of threads of the engine "cpu"; 0 for all cores.
        terminate_on_success: whether an episode terminates at success.
        goal_progress: the progress from which on the task counts as done; below 1 for
            learning a stage of the task.
        horizon_s: the time until truncation; None for the task's horizon.

    Raises:
        EmbodiedError: a name is unknown, an argument has another type, or a rate does
            not divide the physics rate. The message lists the valid values.
    """

    task: str
    robot: str | Robot | None = None
    obs: str = "state"
    control_mode: str = "joint_delta"
    control_hz: int = 20
    cameras: tuple[str, ...] | None = None
    image_size: int = 96
    camera_hz: float | None = None
    level: str = "L2"
    split: str = "train"
    factors: Mapping[str, Any] = field(default_factory=dict)
    engine: str = "cpu"
    device: str = "cuda"
    num_threads: int = 0
    terminate_on_success: bool = False
    goal_progress: float = 1.0
    horizon_s: float | None = None

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> EnvConfig:
        """Returns the config for a user's arguments, which are given by name.

        Raises:
            EmbodiedError: an argument does not exist, or its value is wrong.
        """
        names = [f.name for f in fields(cls)]
        for name in arguments:
            if name not in names:
                raise unknown("argument", name, names)
        return cls(**arguments)

    def __post_init__(self) -> None:
        make_fields_plain(self)
        if isinstance(self.cameras, list):
            object.__setattr__(self, "cameras", tuple(self.cameras))
        self._check_kinds()
        self._check_cameras()
        self._check_numbers()

    def _check_kinds(self) -> None:
        """Raises EmbodiedError for a value of another type, or an unknown choice."""
        for argument, (kinds, description) in _KINDS.items():
            value = getattr(self, argument)
            # refuse True and False as numbers, although bool is a subclass of int
            is_wrong_bool = isinstance(value, bool) and bool not in kinds
            if is_wrong_bool or not isinstance(value, kinds):
                raise EmbodiedError(f"{argument} must be {description}, not {value!r}")

        # the registry checks the names of tasks and robots
        for kind, name, available in (
            ("obs", self.obs, OBSERVATIONS),
            ("control_mode", self.control_mode, CONTROL_MODES),
            ("level", self.level, LEVELS),
            ("split", self.split, SPLITS),
            ("engine", self.engine, ENGINES),
            ("device", self.device, DEVICES),
        ):
            if name not in available:
                raise unknown(kind, name, available)

    def _check_cameras(self) -> None:
        """Raises EmbodiedError for an impossible frame rate, camera list or size."""
        if self.camera_hz is not None and not 0 < self.camera_hz <= PHYSICS_HZ:
            raise EmbodiedError(
                f"camera_hz {self.camera_hz} must be above 0 and at most {PHYSICS_HZ}"
            )

        # whether the scene has these cameras is checked when its model is compiled
        if not all(isinstance(name, str) for name in self.cameras or ()):
            raise EmbodiedError(
                f"cameras must be a tuple of names, not {self.cameras!r}"
            )
        if self.obs != "state" and self.cameras is not None and not len(self.cameras):
            raise EmbodiedError(
                f"obs {self.obs!r} shows pixels: cameras must name at least one"
            )

        if not 16 <= self.image_size <= 512:
            raise EmbodiedError(f"image_size {self.image_size} must be from 16 to 512")

    def _check_numbers(self) -> None:
        """Raises EmbodiedError for a number outside of its range."""
        if self.control_hz <= 0 or PHYSICS_HZ % self.control_hz:
            raise EmbodiedError(
                f"control_hz {self.control_hz} must divide the physics rate of {PHYSICS_HZ} Hz"
            )

        # what ends an episode
        if not 0 < self.goal_progress <= 1:
            raise EmbodiedError(
                f"goal_progress {self.goal_progress} must be above 0 and at most 1"
            )
        if self.horizon_s is not None and not 0 < self.horizon_s < math.inf:
            raise EmbodiedError(
                f"horizon_s {self.horizon_s} must be above 0, and finite"
            )

        if self.num_threads < 0:
            raise EmbodiedError(
                f"num_threads {self.num_threads} must be at least 0 (0: all)"
            )
