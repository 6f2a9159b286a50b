"""What a server says of itself, and under which names observations and plans travel.

The wire is openpi's: the server speaks first and says what it is; then each observation
that a client sends is answered by a map with `actions`, (H, A). A server of this package
says more of itself, and answers its own clients with whole plans (names that begin with
`plan/`), so that they do with them what they do with plans that are made at home.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from embodied.core import Array, Observation, PlanShape, PolicySpec
from embodied.policies.remote.codec import MessageError

WIRE_VERSION = 1
VERSION_KEY = "embodied"  # whose value is WIRE_VERSION; openpi's servers have none
# of an observation
PROMPT = "prompt"
STATE = "observation/state"
ENVIRONMENT_STATE = "observation/environment_state"
IMAGES = "observation/images/"  # and the camera's name
TICK = "embodied/tick"
PIXELS_TICK = "embodied/pixels_tick"
SEED = "embodied/seed"  # only of the first observation of an episode
# of an answer
ACTIONS = "actions"
PLAN = "plan/"  # and the name of a field of Payload
TIMING = "server_timing"

Gives = Literal["plans", "actions"]
ControllerName = Literal["goal_servo", "chunk_player"]
MAX_SIZE = 65_536  # of anything in a plan
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Keys:
    """Under which names a server takes what it is shown.

    Attributes:
        prompt: the instruction.
        state: proprioception.
        images: camera -> name.
        is_ours: whether the server is of this package, and takes clock and seed, too.
    """

    prompt: str = PROMPT
    state: str = STATE
    images: Mapping[str, str] = field(default_factory=dict)
    is_ours: bool = True

    @classmethod
    def of(cls, cameras: tuple[str, ...]) -> Keys:
        """Returns the names that servers of this package take."""
        return cls(images={camera: IMAGES + camera for camera in cameras})


@dataclass(frozen=True)
class ServerInfo:
    """What a server says of itself.

    Attributes:
        gives: plans, or one action of the whole policy for each observation.
        spec: what the policy needs of the worlds.
        planner_hz: how many observations per second it wants.
        shape: of its plans; where it gives actions, of the chunks that they make.
        chunk_hz: rows per second of its actions; 0 where each is held until the next.
        controller: who follows its plans.
        task: that it is for; "" for any.
        robot: that it is for; "" for any.
        trained_in: what worlds must be alike in, as `check_worlds` compares it.
        weights_hash: SHA-256 of its weights or its code; "" if it does not say.
    """

    gives: Gives
    spec: PolicySpec
    planner_hz: float
    shape: PlanShape
    chunk_hz: float = 0.0
    controller: ControllerName = "chunk_player"
    task: str = ""
    robot: str = ""
    trained_in: Mapping[str, Any] = field(default_factory=dict)
    weights_hash: str = ""

    def to_message(self) -> dict[str, Any]:
        """Returns what the server sends first."""
        return {VERSION_KEY: WIRE_VERSION, **asdict(self)}

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> ServerInfo:
        """Returns the info in a server's first message.

        Raises:
            MessageError: it is of another version, or something in it is wrong.
        """
        version = message.get(VERSION_KEY)
        if type(version) is not int or version != WIRE_VERSION:
            raise MessageError(
                f"the server speaks version {_brief(version)}; this package speaks "
                f"{WIRE_VERSION}"
            )

        planner_hz = _take(message, "planner_hz", float)
        if not 0 < planner_hz <= 400:
            raise MessageError(f"planner_hz is {planner_hz}, expected up to 400")
        chunk_hz = _take(message, "chunk_hz", float)
        if not 0 <= chunk_hz <= 400:
            raise MessageError(f"chunk_hz is {chunk_hz}, expected up to 400")
        return cls(
            gives=_choice(message, "gives", get_args(Gives)),
            spec=_spec(_take(message, "spec", dict)),
            planner_hz=planner_hz,
            shape=_shape(_take(message, "shape", dict)),
            chunk_hz=chunk_hz,
            controller=_choice(message, "controller", get_args(ControllerName)),
            task=_take(message, "task", str),
            robot=_take(message, "robot", str),
            trained_in=_take(message, "trained_in", dict),
            weights_hash=_take(message, "weights_hash", str),
        )


def observation_message(
    observation: Observation, row: int, keys: Keys, seed: int | None
) -> dict[str, Any]:
    """Returns one world's observation as a message.

    Args:
        observation: of several worlds.
        row: which of them.
        keys: the names that the server takes.
        seed: of the episode that begins with it; None if none begins.
    """
    message: dict[str, Any] = {
        keys.prompt: observation.instruction[row],
        keys.state: np.asarray(observation.agent_pos[row]),
    }
    for camera, key in keys.images.items():
        message[key] = np.asarray(observation.pixels[camera][row])
    if not keys.is_ours:
        return message

    state = np.asarray(observation.environment_state[row])
    if state.size:
        message[ENVIRONMENT_STATE] = state
    message[TICK] = int(observation.tick[row])
    if observation.pixels_tick is not None:
        message[PIXELS_TICK] = int(observation.pixels_tick[row])
    if seed is not None:
        message[SEED] = seed
    return message


def array_of(
    message: Mapping[str, Any], key: str, shape: tuple[int, ...], kinds: str
) -> np.ndarray:
    """Returns an array of a message.

    Args:
        message: where it is.
        key: its name.
        shape: that it must have.
        kinds: of dtype that it may have, such as "f" or "iu".

    Raises:
        MessageError: it is missing, or another one.
    """
    value = message.get(key)
    if not isinstance(value, np.ndarray):
        raise MessageError(
            f"{key} must be an array of shape {shape}, not {_brief(value)}"
        )
    if value.shape != shape or value.dtype.kind not in kinds:
        raise MessageError(
            f"{key} must be an array of shape {shape} and of the kind {kinds!r}, not of "
            f"shape {value.shape} and dtype {value.dtype}"
        )
    return value


def whole_number(message: Mapping[str, Any], key: str, default: int) -> int:
    """Returns a number of at least 0 from a message; the default if it is not there."""
    value = message.get(key, default)
    if type(value) is not int or not 0 <= value < 2**63:
        raise MessageError(
            f"{key} must be a whole number from 0 on, not {_brief(value)}"
        )
    return value


def rows_of(values: Mapping[str, Array]) -> dict[str, Any]:
    """Returns the one row of a plan's fields, as an answer holds them."""
    # arrays also where a row is one number
    return {PLAN + name: np.asarray(value)[0, ...] for name, value in values.items()}


def _take(message: Mapping[str, Any], key: str, kind: type[Kind]) -> Kind:
    """Returns a value of a kind; a whole number will do for a float."""
    value = message.get(key)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise MessageError(
            f"the server's {key} must be a {kind.__name__}, not {_brief(value)}"
        )
    return value


def _choice(message: Mapping[str, Any], key: str, choices: tuple[Any, ...]) -> Any:
    value = message.get(key)
    if not isinstance(value, str) or value not in choices:
        raise MessageError(
            f"the server's {key} must be one of {', '.join(choices)}, not {_brief(value)}"
        )
    return value


def _spec(stored: Mapping[str, Any]) -> PolicySpec:
    cameras = _take(stored, "cameras", list)
    if not all(isinstance(camera, str) for camera in cameras):
        raise MessageError("the server's cameras must be names")
    camera_hz = stored.get("camera_hz")
    if camera_hz is not None and type(camera_hz) not in (int, float):
        raise MessageError(f"the server's camera_hz is {_brief(camera_hz)}")
    # whether there are such modes and rates is checked with the worlds' config
    return PolicySpec(
        control_mode=_take(stored, "control_mode", str),
        control_hz=_take(stored, "control_hz", int),
        cameras=tuple(cameras),
        camera_hz=camera_hz,
        image_size=_take(stored, "image_size", int),
        privileged=_take(stored, "privileged", bool),
    )


def _shape(stored: Mapping[str, Any]) -> PlanShape:
    sizes = {name: _take(stored, name, int) for name in asdict(PlanShape())}
    for name, size in sizes.items():
        if not 0 <= size <= MAX_SIZE:
            raise MessageError(f"the server's {name} of a plan is {size}")
    return PlanShape(**sizes)


def _brief(value: object) -> str:
    """Returns a value in a few words, for an error message."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, str):
        return repr(value[:40])
    return f"a {type(value).__name__}"
