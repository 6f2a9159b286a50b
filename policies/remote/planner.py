"""A planner whose plans are made by a server."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from embodied.core import SKILLS, ActionInterface, Array, Observation
from embodied.errors import EmbodiedError
from embodied.plan import Payload
from embodied.policies.remote.client import Endpoint, Link, Patience
from embodied.policies.remote.codec import MessageError
from embodied.policies.remote.wire import (
    ACTIONS,
    PLAN,
    Keys,
    ServerInfo,
    array_in_message,
    observation_message,
)

# The chunk rate for servers that give single actions. Each action is held for up to 10 s,
# which is longer than a plan may be used: a plan that is too old stops the robot first.
SINGLE_ACTION_HZ = 0.1
# Letters of numpy's `dtype.kind`: floats, signed and unsigned integers.
FLOATS = "f"
INTEGERS = "iu"


class RemotePlanner:
    """Requests the plans of N worlds from a server, with one connection per world.

    Worlds do not share a connection, since a server may keep state of an episode.

    Attributes:
        unanswered: (n,) bool, for the worlds of the last call of `plan`: whether the
            world got no plan, because the server is lost.

    Args:
        endpoint: the server's address, and how to talk to it.
        info: the server's description.
        keys: the names of observations in messages.
        interface: the action interface, for servers that give actions in physical units;
            None for actions in [-1, 1].
        first_message: the first message that the server must send at each connection;
            None for any.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        info: ServerInfo,
        keys: Keys,
        interface: ActionInterface | None = None,
        first_message: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepares the requests; connections are made with the first plans."""
        self.plan_shape = info.shape
        self.unanswered = np.zeros(0, bool)
        self._gives = info.gives
        self._endpoint = endpoint
        self._keys = keys
        self._interface = interface
        self._first_message = first_message
        self._chunk_hz = info.chunk_hz or SINGLE_ACTION_HZ
        self._patience = Patience()
        self._links: dict[int, Link] = {}  # world -> its connection
        self._seeds: dict[int, int] = {}  # world -> the seed of its episode
        # worlds whose server has not got the first observation of the episode yet
        self._beginning: set[int] = set()
        # planners have no `close`, so the links are closed with the object
        weakref.finalize(self, _close, self._links)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        for world, seed in zip(np.asarray(ids).tolist(), seeds, strict=True):
            self._seeds[world] = int(seed)
            self._beginning.add(world)

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns plans for n worlds; empty plans for worlds that are `unanswered`.

        Raises:
            EmbodiedError: the server refuses, or its plans contradict its description.
        """
        empty = Payload.empty(1, self.plan_shape)
        plans = []
        unanswered = []
        for row, world in enumerate(np.asarray(ids).tolist()):
            answer = self._ask(observation, row, world)
            unanswered.append(answer is None)
            plans.append(self._plan_in_answer(answer, empty))

        # join the plans of one row each; `given` are the fields that are not None
        self.unanswered = np.array(unanswered, bool)
        return Payload(
            **{
                name: np.concatenate([plan.given[name] for plan in plans])
                for name in empty.given
            }
        )

    def _ask(
        self, observation: Observation, row: int, world: int
    ) -> dict[str, Any] | None:
        """Returns the server's answer for one world; None if the server is lost.

        Args:
            observation: the observation of n worlds.
            row: the row of the observation for this world.
            world: the index of the world.
        """
        if world not in self._links:
            self._links[world] = Link(
                self._endpoint, self._patience, self._first_message
            )
        link = self._links[world]

        def message_for(is_new: bool) -> dict[str, Any]:
            # The seed tells the server to begin an episode. At a new connection it has no
            # state of the episode, so it must begin, too.
            begins = is_new or world in self._beginning
            seed = self._seeds.get(world, 0) if begins else None
            return observation_message(observation, row, self._keys, seed=seed)

        answer = link.ask(message_for)
        if answer is not None:
            self._beginning.discard(world)
        return answer

    def _plan_in_answer(
        self, answer: Mapping[str, Any] | None, empty: Payload
    ) -> Payload:
        """Returns the plan in an answer as one row; an empty plan without an answer."""
        if answer is None:
            return empty
        try:
            return self._read(answer, empty)
        except MessageError as error:
            raise MessageError(f"{self._endpoint.uri}: {error}") from error

    def _read(self, answer: Mapping[str, Any], empty: Payload) -> Payload:
        """Returns the plan in an answer as one row.

        Args:
            answer: the answer of the server.
            empty: an empty plan of the declared shape, one row.

        Raises:
            MessageError: the plan contradicts the server's description.
        """
        if self._gives == "actions":
            return replace(empty, **self._chunk_in_answer(answer, empty))

        # each field of a plan must have the declared shape, and the type of the empty plan
        fields = {}
        for name, expected in empty.given.items():
            kinds = INTEGERS if expected.dtype.kind == "i" else FLOATS
            value = array_in_message(
                answer, PLAN + name, expected.shape[1:], kinds=kinds
            )
            fields[name] = value[None]  # one row
        plan = Payload(**fields)
        if not 0 <= plan.subtask[0] < len(SKILLS):
            raise MessageError(
                f"the server's subtask is {plan.subtask[0]}, expected an index into SKILLS"
            )
        if plan.chunk_hz is not None and plan.chunk_hz[0] <= 0:
            raise MessageError(f"the server's chunk_hz is {plan.chunk_hz[0]}")
        return plan

    def _chunk_in_answer(
        self, answer: Mapping[str, Any], empty: Payload
    ) -> dict[str, Array]:
        """Returns the fields `chunk` and `chunk_hz` for an answer with `actions` only.

        Args:
            answer: the answer of the server.
            empty: an empty plan of the declared shape, one row.

        Raises:
            MessageError: the actions have another shape than declared.
        """
        # some servers give a single action without the axis of steps
        steps, size = empty.chunk.shape[1:]
        actions = answer.get(ACTIONS)
        if isinstance(actions, np.ndarray) and actions.ndim == 1:
            actions = actions[None]
        chunk = array_in_message(
            {ACTIONS: actions}, ACTIONS, (steps, size), kinds=FLOATS + INTEGERS
        )
        if self._interface is not None:
            chunk = self._interface.to_normalized(chunk)
        # numbers too large for float32 become infinite, which is a fault of the plan
        with np.errstate(over="ignore"):
            chunk = chunk.astype(np.float32)
        return {
            "chunk": chunk[None],
            "chunk_hz": np.array([self._chunk_hz]),
        }


def check_size(info: ServerInfo, interface: ActionInterface, uri: str) -> None:
    """Raises EmbodiedError if a server's actions have another size than the worlds'.

    Args:
        info: the server's description.
        interface: the action interface of the worlds.
        uri: the server's address, for the message.
    """
    labels = interface.labels
    if info.shape.chunk_steps and info.shape.chunk_actions != len(labels):
        raise EmbodiedError(
            f"the server at {uri} gives actions of {info.shape.chunk_actions} elements, "
            f"but in the control mode {interface.mode} an action has {len(labels)}: "
            f"{', '.join(labels)}"
        )


def _close(links: dict[int, Link]) -> None:
    """Closes all links."""
    for link in links.values():
        link.close()
