"""Policies of your own: a planner with the goal servo, or a plain function.

docs/your_planner.md shows both. These functions return policy sources, which commands find
by the name `MODULE:NAME` (see `policies.registry`).
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embodied.core import Array, Observation, Policy, PolicySpec
from embodied.envs.actions import as_numbers
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError, unknown
from embodied.plan import Controller, Planner
from embodied.policies.assembly import dual_system
from embodied.policies.chunks import ChunkPlayer
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.episodes import env_config_for
from embodied.policies.registry import PolicySource
from embodied.policies.waypoints import WaypointFollower

Signals = dict[str, Array]  # name of a signal -> (N, width)
ActFunction = Callable[[Observation, Signals], Array]

# The requirements of the goal servo, plus the privileged state for the planner.
SERVO_SPEC = PolicySpec(control_mode="ee_delta", control_hz=200, privileged=True)


class SignalParts(dict[str, Array]):
    """Parts of an observation by name; the error for an unknown name lists the names."""

    def __missing__(self, name: str) -> Array:
        raise unknown("signal", name, self)


class SignalReader:
    """Splits an observation into its parts, by names such as `tcp_pos_w`.

    The names are defined by the worlds' `agent_layout` and `state_layout`.
    """

    def __init__(self, worlds: Worlds) -> None:
        self._agent_slices = worlds.agent_layout.slices()
        self._state_slices = worlds.state_layout.slices()

    def __call__(self, observation: Observation) -> Signals:
        """Returns the parts of `agent_pos`, and of `environment_state` if observed."""
        agent_pos = observation.agent_pos
        signals = SignalParts()
        for name, columns in self._agent_slices.items():
            signals[name] = agent_pos[:, columns]
        # the state has no columns unless the policy's spec asks for privileged observations
        state = observation.environment_state
        if state.shape[1]:
            for name, columns in self._state_slices.items():
                signals[name] = state[:, columns]
        return signals


def goal_servo(worlds: Worlds) -> GoalServo:
    """Returns the experts' controller, which moves effectors to a plan's goals."""
    return GoalServo(worlds.agent_layout, worlds.robot, worlds.config.control_hz)


def chunk_player(worlds: Worlds) -> ChunkPlayer:
    """Returns the controller for planners whose plans are action chunks."""
    config = worlds.config
    spec = PolicySpec(control_mode=config.control_mode, control_hz=config.control_hz)
    return ChunkPlayer(worlds.interface, spec)


def waypoint_follower(worlds: Worlds) -> WaypointFollower:
    """Returns the controller for planners whose plans are timed waypoints."""
    return WaypointFollower(goal_servo(worlds))


def policy_from_planner(
    make_planner: Callable[[Worlds], Planner],
    spec: PolicySpec = SERVO_SPEC,
    planner_hz: float = 8.0,
    make_controller: Callable[[Worlds], Controller] = goal_servo,
) -> PolicySource:
    """Returns the source of a policy with a slow planner and a fast controller.

    Args:
        make_planner: a function or class that makes the planner for a batch of worlds.
        spec: the requirements of planner and controller on the worlds: control mode and
            rate, cameras, and whether the privileged state is observed.
        planner_hz: the default number of plans per second, which `--planner-hz` overrides.
        make_controller: a function that makes the controller: `goal_servo` for
            goals, `chunk_player` for action chunks, `waypoint_follower` for timed
            waypoints, or one of your own.
    """
    return _PlannerSource(
        make_planner=make_planner,
        policy_spec=spec,
        planner_hz=planner_hz,
        make_controller=make_controller,
    )


def policy_from_function(
    act: ActFunction, spec: PolicySpec | None = None
) -> PolicySource:
    """Returns the source of a policy that calls a function at every control step.

    Args:
        act: a function that takes the observation of N worlds and its parts by name
            (`SignalReader`), and returns actions (N, A) in [-1, 1]. It must not have
            state.
        spec: the requirements on the worlds; by default the control mode `joint_delta` at
            20 Hz, with proprioception as the only observation.
    """
    return _FunctionSource(act, spec or PolicySpec())


class FunctionPolicy:
    """A function of the observation as a policy."""

    def __init__(self, act: ActFunction, reader: SignalReader, spec: PolicySpec):
        self.spec = spec
        self._act = act
        self._reader = reader

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        """Does nothing, since a function has no state."""

    def act(self, observation: Observation) -> np.ndarray:
        actions = self._act(observation, self._reader(observation))
        return as_numbers(actions).astype(np.float32)


@dataclass(frozen=True)
class _PlannerSource:
    """The source that `policy_from_planner` returns."""

    make_planner: Callable[[Worlds], Planner]
    policy_spec: PolicySpec
    planner_hz: float
    make_controller: Callable[[Worlds], Controller]

    trained_for = None

    @property
    def weights_hash(self) -> str:
        return _file_hash(self.make_planner)

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        return _spec_after_trial(self, self.policy_spec, task, robot)

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> DualSystem:
        """Returns the policy for these worlds; `dual` replaces the default timing of plans."""
        return dual_system(
            worlds,
            self.make_planner(worlds),
            self.make_controller(worlds),
            spec=self.policy_spec,
            config=dual or DualSystemConfig(planner_hz=self.planner_hz),
        )


@dataclass(frozen=True)
class _FunctionSource:
    """The source that `policy_from_function` returns."""

    function: ActFunction
    policy_spec: PolicySpec

    planner_hz = None
    trained_for = None

    @property
    def weights_hash(self) -> str:
        return _file_hash(self.function)

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        return _spec_after_trial(self, self.policy_spec, task, robot)

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> Policy:
        return FunctionPolicy(self.function, SignalReader(worlds), self.policy_spec)


def _spec_after_trial(
    source: PolicySource, spec: PolicySpec, task: str, robot: str | None
) -> PolicySpec:
    """Returns the spec, after making the policy for the task once as a trial.

    Without the trial, an error in the user's code would show only once an evaluation runs.

    Args:
        source: the source of the policy.
        spec: the spec to return.
        task: the task's name.
        robot: the robot's name; None for the task's default.

    Raises:
        EmbodiedError: there is no such task or robot, or the policy cannot be made for
            them.
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
    """Returns the SHA-256 of the file that defines a function or class; "" without a file.

    The hash distinguishes the results of different versions.
    """
    try:
        file = inspect.getsourcefile(inspect.unwrap(item))
    except TypeError:  # it is not written in Python
        file = None
    if file is None or not Path(file).is_file():
        return ""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()
