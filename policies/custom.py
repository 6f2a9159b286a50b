"""Policies of your own: a planner with the goal servo, or a plain function.

docs/your_planner.md shows both. What these functions return is a policy source that
commands find as `MODULE:NAME` (see `policies.registry`).
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embodied.core import Array, Controller, Observation, Planner, Policy, PolicySpec
from embodied.envs.actions import as_numbers
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError, unknown
from embodied.policies.assembly import dual_system
from embodied.policies.chunks import ChunkPlayer
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.episodes import env_config_for
from embodied.policies.registry import PolicySource

Signals = dict[str, Array]  # name of a signal -> (N, width)
ActFunction = Callable[[Observation, Signals], Array]

# What the goal servo needs of the worlds, and the privileged state for the planner.
SERVO_SPEC = PolicySpec(control_mode="ee_delta", control_hz=200, privileged=True)


class SignalParts(dict[str, Array]):
    """Parts of an observation by name; an unknown name says which there are."""

    def __missing__(self, name: str) -> Array:
        raise unknown("signal", name, self)


class SignalReader:
    """Splits an observation into its parts, by names such as `tcp_pos_w`.

    The names are those of the worlds' `agent_layout` and `state_layout`.
    """

    def __init__(self, worlds: Worlds) -> None:
        self._agent = worlds.agent_layout.slices()
        self._state = worlds.state_layout.slices()

    def __call__(self, observation: Observation) -> Signals:
        """Returns the parts of `agent_pos`, and of `environment_state` if it is shown."""
        agent_pos = observation.agent_pos
        signals = SignalParts()
        for name, part in self._agent.items():
            signals[name] = agent_pos[:, part]
        state = observation.environment_state
        if state.shape[1]:  # it has no columns where it is not shown
            signals |= {name: state[:, part] for name, part in self._state.items()}
        return signals


def goal_servo(worlds: Worlds) -> GoalServo:
    """Returns the controller of every expert: it drives effectors to a plan's goals."""
    return GoalServo(worlds.agent_layout, worlds.robot, worlds.config.control_hz)


def chunk_player(worlds: Worlds) -> ChunkPlayer:
    """Returns the controller for planners whose plans are action chunks."""
    config = worlds.config
    spec = PolicySpec(control_mode=config.control_mode, control_hz=config.control_hz)
    return ChunkPlayer(worlds.interface, spec)


def policy_from_planner(
    make_planner: Callable[[Worlds], Planner],
    spec: PolicySpec = SERVO_SPEC,
    planner_hz: float = 8.0,
    make_controller: Callable[[Worlds], Controller] = goal_servo,
) -> PolicySource:
    """Returns the source of a policy of a slow planner and a fast controller.

    Args:
        make_planner: makes the planner for a batch of worlds; a class will do.
        spec: what both need of the worlds: control mode and rate, cameras, and whether
            the privileged state is shown.
        planner_hz: plans per second, unless `--planner-hz` says otherwise.
        make_controller: makes the controller for a batch of worlds: `goal_servo` for
            goals, `chunk_player` for action chunks, or one of your own.
    """
    return _PlannerSource(make_planner, spec, planner_hz, make_controller)


def policy_from_function(
    act: ActFunction, spec: PolicySpec | None = None
) -> PolicySource:
    """Returns the source of a policy that calls a function at every control step.

    Args:
        act: takes the observation of N worlds and its parts by name (`SignalReader`),
            and returns actions (N, A) in [-1, 1]. It must have no memory.
        spec: what it needs of the worlds; by default the control mode `joint_delta` at
            20 Hz, and proprioception alone.
    """
    return _FunctionSource(act, spec or PolicySpec())


class FunctionPolicy:
    """A function of the observation as a policy."""

    def __init__(self, act: ActFunction, reader: SignalReader, spec: PolicySpec):
        self.spec = spec
        self._act = act
        self._reader = reader

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        """Does nothing: a function has no memory."""

    def act(self, observation: Observation) -> np.ndarray:
        actions = self._act(observation, self._reader(observation))
        return as_numbers(actions).astype(np.float32)


@dataclass(frozen=True)
class _PlannerSource:
    make_planner: Callable[[Worlds], Planner]
    policy_spec: PolicySpec
    planner_hz: float
    make_controller: Callable[[Worlds], Controller]

    trained_for = None

    @property
    def weights_hash(self) -> str:
        return _file_hash(self.make_planner)

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        return _tried_spec(self, self.policy_spec, task, robot)

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> DualSystem:
        return dual_system(
            worlds,
            self.make_planner(worlds),
            self.make_controller(worlds),
            spec=self.policy_spec,
            config=dual or DualSystemConfig(planner_hz=self.planner_hz),
        )


@dataclass(frozen=True)
class _FunctionSource:
    function: ActFunction
    policy_spec: PolicySpec

    planner_hz = None
    trained_for = None

    @property
    def weights_hash(self) -> str:
        return _file_hash(self.function)

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        return _tried_spec(self, self.policy_spec, task, robot)

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> Policy:
        return FunctionPolicy(self.function, SignalReader(worlds), self.policy_spec)


def _tried_spec(
    source: PolicySource, spec: PolicySpec, task: str, robot: str | None
) -> PolicySpec:
    """Returns the spec, after a trial that the policy can be made for the task.

    Raises:
        EmbodiedError: no such task or robot, or the policy cannot be made for them.
    """
    config = env_config_for(spec, task, level="L1", split="train", robot=robot)
    with closing(Worlds(config)) as worlds:
        try:
            source.make(worlds)
        except EmbodiedError:
            raise
        except Exception as error:
            raise EmbodiedError(
                f"the policy could not be made for {task}: "
                f"{type(error).__name__}: {error}"
            ) from error
    return spec


def _file_hash(item: Callable[..., object]) -> str:
    """Returns the SHA-256 of the file that defines a function or class.

    It tells results of different versions apart. It is "" if there is no such file.
    """
    try:
        file = inspect.getsourcefile(inspect.unwrap(item))
    except TypeError:  # not written in Python
        file = None
    if file is None or not Path(file).is_file():
        return ""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()
