"""The protocol: a server's description of itself, and the names in messages.

The protocol is openpi's. The server sends the first message, with its description. Then
each observation of a client is answered by a map with `actions`, (H, A). A server of this
package extends it: its description is longer, and it answers clients of this package with
whole plans (names that begin with `plan/`), which they treat like local plans.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Observation, PolicySpec
from embodied.plan import PlanShape
from embodied.policies.remote.codec import MessageError

WIRE_VERSION = 1
# Key of WIRE_VERSION in a server's first message; openpi's servers do not have it.
VERSION_KEY = "embodied"
# names in an observation
PROMPT = "prompt"
STATE = "observation/state"
ENVIRONMENT_STATE = "observation/environment_state"
IMAGES = "observation/images/"  # followed by the camera's name
TICK = "embodied/tick"
PIXELS_TICK = "embodied/pixels_tick"
SEED = "embodied/seed"  # only of the first observation of an episode
# names in an answer
ACTIONS = "actions"
PLAN = "plan/"  # followed by the name of a field of Payload

Gives = Literal["plans", "actions"]
ControllerName = Literal["goal_servo", "chunk_player", "waypoint_follower"]
MAX_SIZE = 65_536  # the largest value of an entry of PlanShape
MAX_HZ = PHYSICS_HZ  # the largest rate of plans, and of the rows of chunks
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Keys:
    """The names of observations in a server's messages.

    Attributes:
        prompt: the name of the instruction.
        state: the name of the proprioception.
        images: the name of each camera -> the name of its image in messages.
        is_ours: whether the server is of this package. Such servers also take ticks, seed
            and privileged state.
    """

    prompt: str = PROMPT
    state: str = STATE
    images: Mapping[str, str] = field(default_factory=dict)
    is_ours: bool = True

    @classmethod
    def of(cls, cameras: tuple[str, ...]) -> Keys:
        """Returns the names that servers of this package use."""
        return cls(images={camera: IMAGES + camera for camera in cameras})


@dataclass(frozen=True)
class ServerInfo:
    """A server's description of itself.

    Attributes:
        gives: what answers contain: `plans` for the client's controller, or `actions`.
        spec: the policy's requirements on the worlds.
        planner_hz: the number of observations per second that clients should send.
        shape: the shape of the policy's plans; if the policy gives actions, the shape
            of a plan with these actions as its chunk.
        chunk_hz: the rows per second of the chunks; 0 to hold each action until the next
            action arrives.
        controller: the name of the controller that follows the plans.
        task: the task's name; "" for any task.
        robot: the robot's name; "" for any robot.
        trained_in: the metadata that the worlds must share, see `check_worlds`.
        weights_hash: the SHA-256 of the policy's weights or code; "" if unknown.
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
        """Returns the description as the server's first message."""
        return {VERSION_KEY: WIRE_VERSION, **asdict(self)}

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> ServerInfo:
        """Returns the description in a server's first message.

        Raises:
            MessageError: the version differs, or an entry is missing or wrong.
        """
        version = message.get(VERSION_KEY)
        if type(version) is not int or version != WIRE_VERSION:
            raise MessageError(
                f"the server speaks version {_brief(version)}; this package speaks "
                f"{WIRE_VERSION}"
            )

        planner_hz = _typed_entry(message, "planner_hz", float)
        if not 0 < planner_hz <= MAX_HZ:
            raise MessageError(f"planner_hz is {planner_hz}, expected up to {MAX_HZ}")
        chunk_hz = _typed_entry(message, "chunk_hz", float)
        if not 0 <= chunk_hz <= MAX_HZ:
            raise MessageError(f"chunk_hz is {chunk_hz}, expected up to {MAX_HZ}")
        return cls(
            gives=_choice(message, "gives", get_args(Gives)),
            spec=_spec(_typed_entry(message, "spec", dict)),
            planner_hz=planner_hz,
            shape=_shape(_typed_entry(message, "shape", dict)),
            chunk_hz=chunk_hz,
            controller=_choice(message, "controller", get_args(ControllerName)),
            task=_typed_entry(message, "task", str),
            robot=_typed_entry(message, "robot", str),
            trained_in=_typed_entry(message, "trained_in", dict),
            weights_hash=_typed_entry(message, "weights_hash", str),
        )


def observation_message(
    observation: Observation, row: int, keys: Keys, seed: int | None
) -> dict[str, Any]:
    """Returns one world's observation as a message.

    Args:
        observation: the observation of several worlds.
        row: the row of the world.
        keys: the names in the server's messages.
        seed: the seed of the episode, if the server must begin an episode with this
            observation; else None.
    """
    message: dict[str, Any] = {
        keys.prompt: observation.instruction[row],
        keys.state: np.asarray(observation.agent_pos[row]),
    }
    for camera, key in keys.images.items():
        message[key] = np.asarray(observation.pixels[camera][row])
    if not keys.is_ours:
        return message

    # the entries that only servers of this package take
    state = np.asarray(observation.environment_state[row])
    if state.size:
        message[ENVIRONMENT_STATE] = state
    message[TICK] = int(observation.tick[row])
    if observation.pixels_tick is not None:
        message[PIXELS_TICK] = int(observation.pixels_tick[row])
    if seed is not None:
        message[SEED] = seed
    return message


def array_in_message(
    message: Mapping[str, Any], key: str, shape: tuple[int, ...], kinds: str
) -> np.ndarray:
    """Returns an array of a message.

    Args:
        message: the message that holds the array.
        key: the array's name.
        shape: the shape that the array must have.
        kinds: the kinds of dtype that the array may have, as numpy's letters: "f" for
            floats, "i" and "u" for integers.

    Raises:
        MessageError: the array is missing, or has another shape or kind.
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
    """Returns an integer of at least 0 from a message, or the default if it is missing.

    Raises:
        MessageError: the value is something else.
    """
    # ticks and seeds are stored as int64
    value = message.get(key, default)
    if type(value) is not int or not 0 <= value < 2**63:
        raise MessageError(
            f"{key} must be a whole number from 0 on, not {_brief(value)}"
        )
    return value


def plan_fields(values: Mapping[str, Array]) -> dict[str, Any]:
    """Returns the fields of a plan with one row, by their names in an answer."""
    # with `...` the result is an array even if a row is a single number
    return {PLAN + name: np.asarray(value)[0, ...] for name, value in values.items()}


def _typed_entry(message: Mapping[str, Any], key: str, kind: type[Kind]) -> Kind:
    """Returns an entry of a message; raises MessageError if its type is wrong.

    An integer is accepted as a float.
    """
    value = message.get(key)
    if kind is float and type(value) is int:
        value = float(value)
    # `type`, since `isinstance` would accept a bool as an int
    if type(value) is not kind:
        raise MessageError(
            f"the server's {key} must be a {kind.__name__}, not {_brief(value)}"
        )
    return value


def _choice(message: Mapping[str, Any], key: str, choices: tuple[Any, ...]) -> Any:
    """Returns an entry of a message; raises MessageError if it is not a choice."""
    value = message.get(key)
    if not isinstance(value, str) or value not in choices:
        raise MessageError(
            f"the server's {key} must be one of {', '.join(choices)}, not {_brief(value)}"
        )
    return value


def _spec(stored: Mapping[str, Any]) -> PolicySpec:
    """Returns the spec in a server's description; raises MessageError if it is wrong."""
    cameras = _typed_entry(stored, "cameras", list)
    if not all(isinstance(camera, str) for camera in cameras):
        raise MessageError("the server's cameras must be names")
    camera_hz = stored.get("camera_hz")
    if camera_hz is not None and type(camera_hz) not in (int, float):
        raise MessageError(f"the server's camera_hz is {_brief(camera_hz)}")
    # whether modes and rates exist is checked later, by the config of the worlds
    return PolicySpec(
        control_mode=_typed_entry(stored, "control_mode", str),
        control_hz=_typed_entry(stored, "control_hz", int),
        cameras=tuple(cameras),
        camera_hz=camera_hz,
        image_size=_typed_entry(stored, "image_size", int),
        privileged=_typed_entry(stored, "privileged", bool),
    )


def _shape(stored: Mapping[str, Any]) -> PlanShape:
    """Returns the shape of a server's plans; raises MessageError if it is wrong.

    A size that the server does not send is 0: it may not know that kind of payload.
    """
    sizes = {}
    for name in asdict(PlanShape()):
        size = _typed_entry(stored, name, int) if name in stored else 0
        sizes[name] = size
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
