"""A planner in another process, for which the controller never waits."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from embodied.closing import ClosedOnExit
from embodied.core import Array, Observation
from embodied.envs.config import EnvConfig
from embodied.envs.own_tasks import register_task
from embodied.envs.registry import own_places
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError, in_one_line
from embodied.plan import Payload, Planner, PlanShape
from embodied.policies.dual_system import DualSystem
from embodied.policies.plans import request_plans
from embodied.policies.realtime.shared import SharedArrays
from embodied.policies.registry import find_policy
from embodied.rollout.one_thread import one_thread
from embodied.sim.feed import MOMENT, Frames, frames_of

START_TIMEOUT_S = 120.0  # importing torch takes some seconds
END_TIMEOUT_S = 5.0  # the longest wait for the process to end
# The longest wait for a plan in `reset` and `plan`; in an episode nothing waits for plans.
PLAN_TIMEOUT_S = 30.0
# Prefixes of names among the shared arrays: of a camera's images, and of the arrays of a
# moment, which stands in place of the images.
PIXELS = "pixels/"
MOMENT_PREFIX = f"{MOMENT}/"


class PlannerProcess(ClosedOnExit):
    """The planner of a policy for one world, in another process.

    Observations and plans are exchanged in shared memory; messages in a pipe announce
    them.

    Args:
        policy: the policy's name.
        config: the config of the worlds.

    Raises:
        EmbodiedError: the policy makes no plans, or cannot be made in the process.
    """

    def __init__(self, policy: str, config: EnvConfig) -> None:
        """Starts the process, and waits until it has loaded the planner."""
        context = multiprocessing.get_context("spawn")
        self._pipe, child_pipe = context.Pipe()
        self._process = context.Process(
            target=_serve,
            args=(child_pipe, policy, config, own_places()),
            daemon=True,
        )
        self._process.start()
        # If the child's end of the pipe stayed open in this process, reading from the pipe
        # would not fail when the child ends.
        child_pipe.close()
        # made for the first plan, which shows the shapes
        self._observation: SharedArrays | None = None
        self._payload: SharedArrays | None = None
        self.is_busy = False  # whether a plan is being made, or waits to be taken
        # (1,) for the one world: whether its last plan is missing because the server of a
        # remote planner did not answer (see `plan.Planner`)
        self.unanswered = np.zeros(1, bool)

        if not self._pipe.poll(START_TIMEOUT_S):
            self.close()
            raise EmbodiedError(
                f"the planner of {policy} was not ready within {START_TIMEOUT_S:g} s"
            )
        self.plan_shape: PlanShape = self._receive("ready")

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Begins an episode.

        If a plan of the last episode is still being made, this waits for the plan and
        discards it.

        Args:
            ids: the one world; not used.
            seeds: the seed of the episode.

        Raises:
            EmbodiedError: the awaited plan is not made in time, or the process has
                ended.
        """
        if self.is_busy:
            self._await_plan()
            self._receive("planned")
            self.is_busy = False
        self._send("reset", int(seeds[0]))

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns a plan for an observation, and waits until it is made."""
        self.start(observation)
        self._await_plan()
        payload = self.take()
        if payload is None:
            raise ValueError("a plan is done, but its message did not arrive")
        return payload

    def start(self, observation: Observation) -> None:
        """Starts a plan in the other process, without waiting for it."""
        if self.is_busy:
            raise ValueError("the planner is not free: take its plan first")
        arrays = _arrays(observation)
        self._shared_like(arrays).write(arrays)
        self._send("plan", observation.instruction)
        self.is_busy = True

    def _shared_like(self, arrays: dict[str, np.ndarray]) -> SharedArrays:
        """Returns the shared arrays for observations of these shapes and types.

        They are made at the first plan, and anew in the rare case that moments get more
        arrays than before.
        """
        if self._observation is not None and self._observation.fits(arrays):
            return self._observation

        if self._observation is not None:
            self._observation.close()
        self._observation = SharedArrays.like(arrays)
        if self._payload is None:
            empty = Payload.empty(1, self.plan_shape).given
            # The types of the planner's arrays are unknown before its first plan, so the
            # shared arrays have the widest types.
            widened = {name: _widened(value) for name, value in empty.items()}
            self._payload = SharedArrays.like(widened)
        self._send("share", self._observation.layout, self._payload.layout)
        return self._observation

    def take(self) -> Payload | None:
        """Returns the plan if it is done, else None, without waiting.

        With the plan, it also sets the attribute `unanswered`.

        Raises:
            EmbodiedError: the planner raised an error, or its process has ended.
        """
        if not self.is_busy or not self._pipe.poll():
            return None
        types, is_unanswered = self._receive("planned")
        self.is_busy = False
        self.unanswered = np.array([is_unanswered])
        if self._payload is None:
            raise ValueError("a plan arrived, but none was started")
        arrays = self._payload.read()
        # back from the widened types to the planner's types
        fields = {name: arrays[name].astype(dtype) for name, dtype in types.items()}
        return Payload(**fields)

    def close(self) -> None:
        """Ends the process, and frees the shared memory."""
        with contextlib.suppress(BrokenPipeError, OSError):
            self._pipe.send(None)
        # a busy planner would read the message only after its plan, so it is killed at once
        self._process.join(0 if self.is_busy else END_TIMEOUT_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()
        for shared in (self._observation, self._payload):
            if shared is not None:
                shared.close()

    def _await_plan(self) -> None:
        """Waits for a plan; raises EmbodiedError after PLAN_TIMEOUT_S."""
        if not self._pipe.poll(PLAN_TIMEOUT_S):
            raise EmbodiedError(
                f"the planner hangs: it has made no plan for {PLAN_TIMEOUT_S:g} s"
            )

    def _send(self, *message: Any) -> None:
        """Sends a message; raises EmbodiedError if the process has ended."""
        try:
            self._pipe.send(message)
        except (BrokenPipeError, ConnectionResetError):
            raise self._ended_error() from None

    def _ended_error(self) -> EmbodiedError:
        """Returns the error for a process that has ended."""
        self._process.join(END_TIMEOUT_S)
        status = self._process.exitcode
        return EmbodiedError(f"the planner's process ended (exit status {status})")

    def _receive(self, expected: str) -> Any:
        """Returns the content of the next message, which must be of the expected kind.

        Raises:
            EmbodiedError: the planner failed, or the process has ended.
        """
        try:
            kind, value = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._ended_error() from None
        if kind != expected:  # the kind is "refused", and the value is the reason
            raise EmbodiedError(value)
        return value


def _serve(
    pipe: Connection, policy: str, config: EnvConfig, own_tasks: Sequence[str]
) -> None:
    """Makes plans until the parent process ends this; the main function of the process.

    Args:
        pipe: the pipe to the parent process.
        policy: the policy's name.
        config: the config of the worlds.
        own_tasks: the files or modules of the user's own tasks, which must be registered
            in each process.
    """
    # Ctrl-C reaches every process of a terminal. This process ignores it, and ends when the
    # parent ends or closes the pipe: then the pipe raises one of these errors.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            for own_task in own_tasks:
                register_task(own_task)

            with contextlib.closing(Worlds(config)) as worlds, one_thread():
                system = find_policy(policy).make(worlds)
                if not isinstance(system, DualSystem):
                    raise EmbodiedError(
                        f"{policy} makes no plans: choose one that does"
                    )
                # from now on, the parent may request plans
                pipe.send(("ready", system.planner.plan_shape))
                _answer_messages(pipe, system.planner, worlds)
        except EmbodiedError as error:
            pipe.send(("refused", str(error)))
        except Exception as error:
            pipe.send(("refused", f"the planner raised {in_one_line(error)}"))


def _answer_messages(pipe: Connection, planner: Planner, worlds: Worlds) -> None:
    """Answers the messages of the parent process, until it sends None.

    The messages are ("share", layout of observations, layout of plans), ("reset", seed)
    and ("plan", instruction).

    Args:
        pipe: the pipe to the parent process.
        planner: the planner, for one world.
        worlds: one world, which is set to each moment whose frames are rendered here.
    """
    ids = np.zeros(1, np.int64)
    frames = Frames(worlds.engine, worlds.cameras, worlds.config.image_size)
    observation_arrays: SharedArrays | None = None
    payload_arrays: SharedArrays | None = None
    with contextlib.ExitStack() as stack:
        stack.callback(frames.close)
        while (message := pipe.recv()) is not None:
            kind, *content = message
            if kind == "share":
                observation_layout, plan_layout = content
                observation_arrays = SharedArrays.opened(observation_layout)
                stack.enter_context(observation_arrays)
                payload_arrays = SharedArrays.opened(plan_layout)
                stack.enter_context(payload_arrays)
            elif kind == "reset":
                [seed] = content
                planner.reset(ids, [seed])
            # the kind is "plan", which is never sent before "share"
            elif observation_arrays is not None and payload_arrays is not None:
                [instruction] = content
                arrays = observation_arrays.read()
                moment = _with_prefix(arrays, MOMENT_PREFIX)
                pixels = _with_prefix(arrays, PIXELS)
                if moment:
                    pixels = frames_of(moment, worlds.engine, frames)
                observation = _observation(arrays, pixels, instruction)
                payload = request_plans(planner, observation, ids, check_all=False)
                given = {
                    name: np.asarray(value) for name, value in payload.given.items()
                }
                payload_arrays.write(given)
                types = {name: value.dtype.str for name, value in given.items()}
                is_unanswered = bool(np.any(getattr(planner, "unanswered", False)))
                pipe.send(("planned", (types, is_unanswered)))


def _widened(value: np.ndarray) -> np.ndarray:
    """Returns an array of floats as float64, or of integers as int64."""
    return value.astype(np.float64 if value.dtype.kind == "f" else np.int64)


def _arrays(observation: Observation) -> dict[str, np.ndarray]:
    """Returns an observation's arrays by name; its instruction is sent as a message."""
    arrays = {
        "tick": observation.tick,
        "agent_pos": observation.agent_pos,
        "environment_state": observation.environment_state,
    }

    # frames by camera, or the arrays of the one world's moment
    for name, rows in observation.pixels.items():
        if name == MOMENT:
            [moment] = rows
            arrays.update({MOMENT_PREFIX + key: value for key, value in moment.items()})
        else:
            arrays[PIXELS + name] = rows

    if observation.pixels_tick is not None:
        arrays["pixels_tick"] = observation.pixels_tick
    return {name: np.asarray(value) for name, value in arrays.items()}


def _with_prefix(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Returns the arrays whose names begin with a prefix, by the rest of their names."""
    return {
        name.removeprefix(prefix): values
        for name, values in arrays.items()
        if name.startswith(prefix)
    }


def _observation(
    arrays: dict[str, np.ndarray],
    pixels: dict[str, np.ndarray],
    instruction: tuple[str, ...],
) -> Observation:
    """Returns the observation of arrays by name, of frames and an instruction."""
    return Observation(
        tick=arrays["tick"],
        agent_pos=arrays["agent_pos"],
        environment_state=arrays["environment_state"],
        instruction=instruction,
        pixels=pixels,
        pixels_tick=arrays.get("pixels_tick"),
    )
