"""A planner in a process of its own, which the controller never waits for."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from embodied.closing import ClosedOnExit
from embodied.core import Array, Observation, Payload, Planner, PlanShape
from embodied.envs.config import EnvConfig
from embodied.envs.own_tasks import register_task
from embodied.envs.registry import own_places
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError, in_one_line
from embodied.policies.dual_system import DualSystem
from embodied.policies.plans import ask
from embodied.policies.realtime.shared import Plot, SharedArrays
from embodied.policies.registry import find_policy
from embodied.rollout.one_thread import one_thread

START_TIMEOUT_S = 120.0  # a process that imports torch takes some seconds
END_TIMEOUT_S = 5.0
# How long a plan is waited for by a `reset`, or by `plan`; in an episode nobody waits.
PLAN_TIMEOUT_S = 30.0
PIXELS = "pixels/"  # prefix of a camera's frames among the shared arrays


class PlannerProcess(ClosedOnExit):
    """The planner of a policy for one world, in another process.

    Observations and plans go through shared memory; a pipe says when they are there.

    Raises:
        EmbodiedError: the policy makes no plans, or cannot be made there.
    """

    def __init__(self, policy: str, config: EnvConfig) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, child_pipe = context.Pipe()
        self._process = context.Process(
            target=_serve,
            args=(child_pipe, policy, config, own_places()),
            daemon=True,
        )
        self._process.start()
        child_pipe.close()  # the child has its own; ours would hide its death
        self._observation: SharedArrays | None = None
        self._payload: SharedArrays | None = None
        self.is_busy = False
        self.unanswered = np.zeros(1, bool)  # see `core.Planner`

        if not self._pipe.poll(START_TIMEOUT_S):
            self.close()
            raise EmbodiedError(
                f"the planner of {policy} was not ready within {START_TIMEOUT_S:g} s"
            )
        self.plan_shape: PlanShape = self._receive("ready")

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Begins an episode in its one world.

        A plan that is still being made is waited for and thrown away.

        Raises:
            EmbodiedError: that plan does not come, or its process has ended.
        """
        if self.is_busy:
            self._await_plan()
            self._receive("planned")
            self.is_busy = False
        self._send("reset", int(seeds[0]))

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns a plan after waiting for it."""
        self.start(observation)
        self._await_plan()
        payload = self.take()
        if payload is None:
            raise ValueError("a plan that is there was not taken")
        return payload

    def start(self, observation: Observation) -> None:
        """Lets the planner begin a plan, while this process goes on."""
        if self.is_busy:
            raise ValueError("the planner is not free: take its plan first")
        arrays = _arrays(observation)
        if self._observation is None:
            self._observation = SharedArrays.like(arrays)
            empty = Payload.empty(1, self.plan_shape).given
            # planners compute in one precision or another: the widest holds all
            wide = {name: _widened(value) for name, value in empty.items()}
            self._payload = SharedArrays.like(wide)
            self._send("share", self._observation.plot, self._payload.plot)
        self._observation.write(arrays)
        self._send("plan", observation.instruction)
        self.is_busy = True

    def take(self) -> Payload | None:
        """Returns the plan if it is there, else None at once.

        Raises:
            EmbodiedError: the planner raised an error, or its process has ended.
        """
        if not self.is_busy or not self._pipe.poll():
            return None
        types, unanswered = self._receive("planned")
        self.is_busy = False
        self.unanswered = np.array([unanswered])
        if self._payload is None:
            raise ValueError("no plan was begun")
        arrays = self._payload.read()
        # back in the precision of the planner
        exact = {name: arrays[name].astype(dtype) for name, dtype in types.items()}
        return Payload(**exact)

    def close(self) -> None:
        """Ends the process, and frees what is shared with it."""
        with contextlib.suppress(BrokenPipeError, OSError):
            self._pipe.send(None)
        # one that still makes a plan would not hear
        self._process.join(0 if self.is_busy else END_TIMEOUT_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()
        for shared in (self._observation, self._payload):
            if shared is not None:
                shared.close()

    def _await_plan(self) -> None:
        if not self._pipe.poll(PLAN_TIMEOUT_S):
            raise EmbodiedError(
                f"the planner hangs: it has made no plan for {PLAN_TIMEOUT_S:g} s"
            )

    def _send(self, *message: Any) -> None:
        try:
            self._pipe.send(message)
        except (BrokenPipeError, ConnectionResetError):
            raise self._has_ended() from None

    def _has_ended(self) -> EmbodiedError:
        self._process.join(END_TIMEOUT_S)
        status = self._process.exitcode
        return EmbodiedError(f"the planner's process ended (exit status {status})")

    def _receive(self, expected: str) -> Any:
        """Returns the content of the next message, which must be of this kind."""
        try:
            kind, value = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._has_ended() from None
        if kind != expected:  # it is "refused", and the value says why
            raise EmbodiedError(value)
        return value


def _serve(
    pipe: Connection, policy: str, config: EnvConfig, places: Sequence[str]
) -> None:
    """Makes plans in a process of its own, until told to end.

    Args:
        pipe: to the parent.
        policy: its name.
        config: of the worlds.
        places: of the user's own tasks, which a new process does not know.
    """
    # Ctrl-C reaches every process of a terminal: the parent decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            for place in places:
                register_task(place)
            with contextlib.closing(Worlds(config)) as worlds, one_thread():
                system = find_policy(policy).make(worlds)
                if not isinstance(system, DualSystem):
                    raise EmbodiedError(
                        f"{policy} makes no plans: choose one that does"
                    )
                pipe.send(("ready", system.planner.plan_shape))
                _answer(pipe, system.planner)
        except EmbodiedError as error:
            pipe.send(("refused", str(error)))
        except Exception as error:
            pipe.send(("refused", f"the planner raised {in_one_line(error)}"))


def _answer(pipe: Connection, planner: Planner) -> None:
    """Does what message after message says, until one is None."""
    ids = np.zeros(1, np.int64)
    seen: SharedArrays | None = None
    told: SharedArrays | None = None
    with contextlib.ExitStack() as stack:
        while (message := pipe.recv()) is not None:
            if message[0] == "share":
                plots: tuple[Plot, Plot] = message[1:]
                seen = stack.enter_context(SharedArrays.opened(plots[0]))
                told = stack.enter_context(SharedArrays.opened(plots[1]))
            elif message[0] == "reset":
                planner.reset(ids, [message[1]])
            # "plan", which is never sent before "share"
            elif seen is not None and told is not None:
                observation = _observation(seen.read(), message[1])
                payload = ask(planner, observation, ids, check_all=False)
                given = {name: np.asarray(v) for name, v in payload.given.items()}
                told.write(given)
                types = {name: value.dtype.str for name, value in given.items()}
                unanswered = bool(np.any(getattr(planner, "unanswered", False)))
                pipe.send(("planned", (types, unanswered)))


def _widened(value: np.ndarray) -> np.ndarray:
    """Returns the values as float64, or whole numbers as int64."""
    return value.astype(np.float64 if value.dtype.kind == "f" else np.int64)


def _arrays(observation: Observation) -> dict[str, np.ndarray]:
    """Returns an observation's arrays by name, without its instruction (a text)."""
    arrays = {
        "tick": observation.tick,
        "agent_pos": observation.agent_pos,
        "environment_state": observation.environment_state,
    }
    for camera, frames in observation.pixels.items():
        arrays[PIXELS + camera] = frames
    if observation.pixels_tick is not None:
        arrays["pixels_tick"] = observation.pixels_tick
    return {name: np.asarray(value) for name, value in arrays.items()}


def _observation(
    arrays: dict[str, np.ndarray], instruction: tuple[str, ...]
) -> Observation:
    """Returns the observation of `_arrays` and an instruction."""
    # pictures lie beside the other arrays, under the names of their cameras
    pixels = {
        name.removeprefix(PIXELS): frames
        for name, frames in arrays.items()
        if name.startswith(PIXELS)
    }

    return Observation(
        tick=arrays["tick"],
        agent_pos=arrays["agent_pos"],
        environment_state=arrays["environment_state"],
        instruction=instruction,
        pixels=pixels,
        pixels_tick=arrays.get("pixels_tick"),
    )
