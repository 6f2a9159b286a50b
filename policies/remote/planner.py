"""A planner whose plans are made by a server."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from embodied.core import (
    SKILLS,
    ActionInterface,
    Array,
    Observation,
    Payload,
)
from embodied.errors import EmbodiedError
from embodied.policies.remote.client import Endpoint, Link, Patience
from embodied.policies.remote.codec import MessageError
from embodied.policies.remote.wire import (
    ACTIONS,
    PLAN,
    Keys,
    ServerInfo,
    array_of,
    observation_message,
)

# How long one action is held for which there is no next one: longer than any plan is
# fresh, so that the watchdog ends it.
HELD_HZ = 0.1
FLOATS = "f"
WHOLE = "iu"


class RemotePlanner:
    """Asks a server for the plans of N worlds, each over a connection of its own.

    A server may remember what it has seen of an episode, so worlds do not share one.

    Attributes:
        unanswered: (n,) bool, which of the last `plan`'s worlds got none, as the server
            is lost.

    Args:
        endpoint: where the server is.
        info: what it says of itself.
        keys: under which names it takes observations.
        interface: what actions mean, for servers that give them in physical units;
            None for those in [-1, 1].
        first: the message in which the server said what it is, if it must say the same
            again; None for no matter what.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        info: ServerInfo,
        keys: Keys,
        interface: ActionInterface | None = None,
        first: Mapping[str, Any] | None = None,
    ) -> None:
        self.plan_shape = info.shape
        self.unanswered = np.zeros(0, bool)
        self._gives = info.gives
        self._endpoint = endpoint
        self._keys = keys
        self._interface = interface
        self._first = first
        self._chunk_hz = info.chunk_hz or HELD_HZ
        self._patience = Patience()
        self._links: dict[int, Link] = {}  # by world
        self._seeds: dict[int, int] = {}  # by world, of its episode
        self._begins: set[int] = set()  # worlds whose episode the server does not know
        # nobody tells a planner when it is over
        weakref.finalize(self, _close, self._links)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        for world, seed in zip(np.asarray(ids).tolist(), seeds, strict=True):
            self._seeds[world] = int(seed)
            self._begins.add(world)

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns plans for n worlds; those that are `unanswered` say "stop".

        Raises:
            EmbodiedError: the server refuses, or gives something else than it said.
        """
        empty = Payload.empty(1, self.plan_shape)
        plans = []
        unanswered = []
        for row, world in enumerate(np.asarray(ids).tolist()):
            answer = self._ask(observation, row, world)
            unanswered.append(answer is None)
            plans.append(self._plan_of(answer, empty))

        self.unanswered = np.array(unanswered, bool)
        names = empty.given
        return Payload(
            **{
                name: np.concatenate([one.given[name] for one in plans])
                for name in names
            }
        )

    def _ask(
        self, observation: Observation, row: int, world: int
    ) -> dict[str, Any] | None:
        """Returns the server's answer about one world; None if it is lost."""
        if world not in self._links:
            self._links[world] = Link(self._endpoint, self._patience, self._first)
        link = self._links[world]

        def message_for(is_new: bool) -> dict[str, Any]:
            # on a new connection the server has forgotten the episode
            begins = is_new or world in self._begins
            seed = self._seeds.get(world, 0) if begins else None
            return observation_message(observation, row, self._keys, seed)

        answer = link.ask(message_for)
        if answer is not None:
            self._begins.discard(world)
        return answer

    def _plan_of(self, answer: Mapping[str, Any] | None, empty: Payload) -> Payload:
        """Returns the plan in an answer, as one row; an empty one for no answer."""
        if answer is None:
            return empty
        try:
            return self._read(answer, empty)
        except MessageError as error:
            raise MessageError(f"{self._endpoint.uri}: {error}") from error

    def _read(self, answer: Mapping[str, Any], empty: Payload) -> Payload:
        """Returns the plan in an answer, as one row."""
        if self._gives == "actions":
            return replace(empty, **self._chunk_of(answer, empty))

        fields = {}
        for name, like in empty.given.items():
            kinds = WHOLE if like.dtype.kind == "i" else FLOATS
            fields[name] = array_of(answer, PLAN + name, like.shape[1:], kinds)[None]
        plan = Payload(**fields)
        if not 0 <= plan.subtask[0] < len(SKILLS):
            raise MessageError(
                f"the server's subtask is {plan.subtask[0]}, expected a place in SKILLS"
            )
        if plan.chunk_hz is not None and plan.chunk_hz[0] <= 0:
            raise MessageError(f"the server's chunk_hz is {plan.chunk_hz[0]}")
        return plan

    def _chunk_of(self, answer: Mapping[str, Any], empty: Payload) -> dict[str, Array]:
        """Returns chunk and rate of an answer that has `actions` alone."""
        steps, size = empty.chunk.shape[1:]
        found = answer.get(ACTIONS)
        if isinstance(found, np.ndarray) and found.ndim == 1:
            found = found[None]  # one action, as some servers give it
        chunk = array_of({ACTIONS: found}, ACTIONS, (steps, size), FLOATS + WHOLE)
        if self._interface is not None:
            chunk = self._interface.to_normalized(chunk)
        # what is too large becomes infinite, which is found where all plans are checked
        with np.errstate(over="ignore"):
            rows = chunk.astype(np.float32)
        return {
            "chunk": rows[None],
            "chunk_hz": np.array([self._chunk_hz]),
        }


def check_size(info: ServerInfo, interface: ActionInterface, uri: str) -> None:
    """Raises EmbodiedError unless a server's chunks suit what the worlds take."""
    labels = interface.labels
    if info.shape.chunk_steps and info.shape.chunk_actions != len(labels):
        raise EmbodiedError(
            f"the server at {uri} gives actions of {info.shape.chunk_actions} elements, "
            f"but in the control mode {interface.mode} an action has {len(labels)}: "
            f"{', '.join(labels)}"
        )


def _close(links: dict[int, Link]) -> None:
    for link in links.values():
        link.close()
