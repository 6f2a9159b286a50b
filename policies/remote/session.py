"""The server's side: a policy to serve, and the session of a client."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from embodied.closing import ClosedOnExit
from embodied.core import PHYSICS_HZ, Observation, Policy
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.worlds import Worlds
from embodied.plan import Payload, PlanShape
from embodied.policies.chunks import ChunkPlayer
from embodied.policies.clock import Clock
from embodied.policies.dual_system import DualSystem
from embodied.policies.episodes import env_config_for
from embodied.policies.plans import request_plans
from embodied.policies.registry import find_policy
from embodied.policies.remote.codec import MessageError
from embodied.policies.remote.wire import (
    ACTIONS,
    ENVIRONMENT_STATE,
    IMAGES,
    PIXELS_TICK,
    PROMPT,
    SEED,
    STATE,
    TICK,
    ControllerName,
    ServerInfo,
    array_in_message,
    plan_fields,
    whole_number,
)
from embodied.policies.run_folder import FITTING
from embodied.policies.waypoints import WaypointFollower

MAX_PROMPT = 1000  # characters
ONE_WORLD = np.zeros(1, np.int64)  # ids of worlds: a session has only world 0


class Served(ClosedOnExit):
    """A policy to serve, to any number of clients at the same time.

    Args:
        policy: the policy's name, see `find_policy`.
        task: the task's name.
        robot: the robot's name; None for the task's default.

    Raises:
        EmbodiedError: there is no such policy, task or robot, or the policy is made for
            another task or robot.
    """

    def __init__(self, policy: str, task: str, robot: str | None = None) -> None:
        """Opens the policy and its worlds, and describes the policy for clients."""
        self._source = find_policy(policy)
        self.spec = self._source.spec(task, robot)
        # these worlds are never stepped, so their level does not matter: they only define
        # the observations and actions
        config = env_config_for(self.spec, task, level="L1", split="train", robot=robot)
        self.worlds = Worlds(config)
        self.lock = threading.Lock()  # networks compute for one client at a time
        self.agent_size = self.worlds.agent_layout.size
        self.state_size = self.worlds.state_layout.size if self.spec.privileged else 0
        self.info = self._describe()

    def make(self) -> Policy:
        """Returns the policy for one world."""
        return self._source.make(self.worlds)

    def close(self) -> None:
        """Frees the worlds."""
        self.worlds.close()

    def _describe(self) -> ServerInfo:
        """Returns the description of the policy for clients."""
        # Clients get plans if they have the policy's controller, which they run themselves.
        # Otherwise they get an action for each control step.
        policy = self.make()
        controller = None
        if isinstance(policy, DualSystem):
            controller = known_controller(policy)

        if isinstance(policy, DualSystem) and controller is not None:
            planner_hz = policy.config.planner_hz
            shape = policy.planner.plan_shape
        else:
            planner_hz = float(self.spec.control_hz)
            action_size = len(self.worlds.interface.labels)
            shape = PlanShape(effectors=0, chunk_steps=1, chunk_actions=action_size)

        metadata = self.worlds.metadata()
        return ServerInfo(
            gives="actions" if controller is None else "plans",
            spec=self.spec,
            planner_hz=planner_hz,
            shape=shape,
            controller=controller or "chunk_player",
            task=metadata["task"],
            robot=metadata["robot"],
            trained_in={name: metadata[name] for name in FITTING},
            weights_hash=self._source.weights_hash,
        )


class Session:
    """The state of one client: one world, in which episodes follow each other."""

    def __init__(self, served: Served) -> None:
        """Begins without a policy, which the first message makes."""
        self._served = served
        self._policy: Policy | None = None
        # runs the policy step by step, if it is a dual system
        self._stepper: _DualStepper | None = None
        # the tick of the next observation, for clients that do not send ticks
        self._tick = 0
        self._has_begun = False  # whether an episode has begun

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the answer to an observation: a plan, or actions (H, A).

        Clients of this package get plans if possible; other clients get actions.

        Raises:
            EmbodiedError: an observation that the policy needs is missing or wrong, or
                the policy raises an error.
        """
        # only clients of this package send ticks
        is_ours = TICK in message
        observation = self._read(message)
        seed = whole_number(message, SEED, 0)
        with self._served.lock:
            policy = self._policy or self._served.make()
            self._policy = policy
            if SEED in message or not self._has_begun:
                self._begin(policy, observation, seed)
            return self._decide(policy, observation, is_ours)

    def _begin(self, policy: Policy, observation: Observation, seed: int) -> None:
        """Begins an episode with its first observation."""
        self._has_begun = True
        # planner and controller of a dual system are run here without the system itself,
        # since delays and stops are the client's
        if isinstance(policy, DualSystem):
            policy.planner.reset(ONE_WORLD, [seed])
            self._stepper = _DualStepper(policy, observation, seed)
        else:
            policy.reset(ONE_WORLD, observation, [seed])

    def _decide(
        self, policy: Policy, observation: Observation, is_ours: bool
    ) -> dict[str, Any]:
        """Returns the answer to an observation, see `answer`.

        Args:
            policy: the policy.
            observation: the observation of the client's world.
            is_ours: whether the client is of this package.
        """
        # give plans to clients of this package, and the plans' chunks to other clients
        info = self._served.info
        if isinstance(policy, DualSystem):
            has_chunks = bool(info.shape.chunk_steps)
            if info.gives == "plans" and (is_ours or has_chunks):
                self._tick += int(PHYSICS_HZ / info.planner_hz)
                # clients of this package check the values themselves, to record faults
                plan = request_plans(
                    policy.planner, observation, ONE_WORLD, check_all=not is_ours
                )
                if is_ours:
                    return plan_fields(plan.given)
                return {ACTIONS: np.asarray(plan.chunk)[0]}

        # otherwise run planner and controller for one control step
        self._tick += PHYSICS_HZ // self._served.spec.control_hz
        actor = self._stepper or policy
        action = actor.act(observation)
        return {ACTIONS: np.asarray(action, np.float32)}

    def _read(self, message: Mapping[str, Any]) -> Observation:
        """Returns the observation in a message; raises MessageError if it is wrong."""
        served = self._served
        prompt = message.get(PROMPT, "")
        if not isinstance(prompt, str) or len(prompt) > MAX_PROMPT:
            raise MessageError(f"{PROMPT} must be a text of up to {MAX_PROMPT} letters")

        # proprioception, privileged state if the policy needs it, and images; the kinds are
        # numpy's: f for floats, u for unsigned integers
        agent_pos = array_in_message(message, STATE, (served.agent_size,), kinds="f")
        state = np.zeros(0)
        if served.state_size:
            state_shape = (served.state_size,)
            state = array_in_message(message, ENVIRONMENT_STATE, state_shape, kinds="f")
        side = served.spec.image_size
        pixels = {}
        for camera in served.spec.cameras:
            key = IMAGES + camera
            frame = array_in_message(message, key, (side, side, 3), kinds="u")
            if frame.dtype != np.uint8:
                raise MessageError(f"{IMAGES}{camera} must be uint8, not {frame.dtype}")
            pixels[camera] = frame[None]

        tick = whole_number(message, TICK, self._tick)
        pixels_tick = whole_number(message, PIXELS_TICK, tick)
        return Observation(
            tick=np.array([tick]),
            agent_pos=agent_pos[None],
            environment_state=state[None],
            instruction=(prompt,),
            pixels=pixels,
            pixels_tick=np.array([pixels_tick]) if pixels else None,
        )


class _DualStepper:
    """Runs planner and controller of a dual system step by step, without delays.

    Limiting actions, and stopping the robot for a stale plan, are left to the client, which
    has the robot.
    """

    def __init__(self, system: DualSystem, observation: Observation, seed: int) -> None:
        """Begins an episode.

        Args:
            system: the dual system.
            observation: the first observation of the episode.
            seed: the seed of the episode.
        """
        self._system = system
        self._clock = Clock(system.config.planner_hz)
        self._next_plan_tick = int(observation.tick[0])
        self._plan: Payload | None = None
        self._tick_frame = 0  # the tick at which the current plan's image was captured
        system.controller.reset(ONE_WORLD, [seed])

    def act(self, observation: Observation) -> np.ndarray:
        """Returns the controller's action (1, A), after making a new plan if it is due."""
        now = int(observation.tick[0])
        plan = self._plan
        if plan is None or now >= self._next_plan_tick:
            plan = request_plans(
                self._system.planner, observation, ONE_WORLD, check_all=True
            )
            self._plan = plan
            # the plan's age counts from its images, or from the observation without cameras
            self._tick_frame = now
            if observation.pixels_tick is not None:
                self._tick_frame = int(observation.pixels_tick[0])
            self._next_plan_tick = self._clock.next_tick(now)
        # a client may send ticks that go back, so the age is limited to 0
        age_s = np.array([max(now - self._tick_frame, 0) / PHYSICS_HZ])
        return self._system.controller.act(observation, plan, age_s)


def known_controller(system: DualSystem) -> ControllerName | None:
    """Returns the name of a system's controller; None if clients do not have it."""
    controller = system.controller
    if type(controller) is GoalServo:
        return "goal_servo"
    if type(controller) is ChunkPlayer:
        return "chunk_player"
    if (
        type(controller) is WaypointFollower
        and type(controller.controller) is GoalServo
    ):
        return "waypoint_follower"
    return None
