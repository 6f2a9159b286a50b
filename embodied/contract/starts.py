"""Contracts on starts: without collisions and unsolved; and on unused observations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from embodied.contract.case import Case, ContractError, random_actions, require
from embodied.core import Array, Layout, Observation
from embodied.envs.safety import body_contacts
from embodied.envs.variation import LEVELS, SPLITS
from embodied.envs.worlds import Worlds
from embodied.policies.registry import find_policy
from embodied.rollout.rollout import EpisodeResult, Step, rollout

RESTING_M = 1e-3  # penetration depth allowed at a start, as of resting objects
FIRST_SEED = 1000
# Splits that are checked at each level; the others are checked only at L3.
BROAD = ("train", "all")
LEVELS_AND_SPLITS = tuple(
    (level, split)
    for split in SPLITS
    for level in LEVELS
    if level == "L3" or split in BROAD
)
NUM_STARTS = 8  # episodes whose starts are checked
STILL_STEPS = 5  # control steps with actions of 0 at each start
# Episodes in which elements are looked for that never change: EPISODES batches of
# NUM_WORLDS with STEPS random actions, and EPISODES of the expert.
EPISODES = 4
NUM_WORLDS = 10
STEPS = 50


def starts_are_clear_and_unsolved(case: Case, where: tuple[str, str]) -> None:
    """Checks the starts of NUM_STARTS episodes; `where` is (level, split)."""
    level, split = where
    worlds = case.worlds(NUM_STARTS, first_seed=FIRST_SEED, level=level, split=split)
    outcome = worlds.task.judge()
    for flag in ("success", "lost"):
        flagged = np.flatnonzero(getattr(outcome, flag))
        if flagged.size:
            seed = FIRST_SEED + int(flagged[0])
            raise ContractError(f"seed {seed} starts as {flag}")

    for world in range(NUM_STARTS):
        _require_clear(worlds, world)

    # under actions of 0, no episode may end in the first steps
    still = np.zeros((NUM_STARTS, len(worlds.interface.low)))
    for _ in range(STILL_STEPS):
        ended = np.flatnonzero(worlds.step(still).terminated)
        if ended.size:
            seed = FIRST_SEED + int(ended[0])
            raise ContractError(f"seed {seed} ends by itself")
    require(np.isfinite(worlds.integration_state()).all(), "the state is not finite")


def _require_clear(worlds: Worlds, world: int) -> None:
    """Raises ContractError if bodies of a world overlap."""
    for bodies, depth_m in body_contacts(worlds.engine, world):
        require(
            depth_m < RESTING_M,
            f"seed {FIRST_SEED + world}: {bodies[0]!r} and {bodies[1]!r} overlap by "
            f"{depth_m * 1000:.1f} mm at the start",
        )


def all_proprioception_is_alive(case: Case) -> None:
    """Looks for dead sensors of a robot: values that random actions never change."""
    seen = Seen()
    dead: set[str] = set()
    for worlds in _random_episodes(case, seen):
        dead = seen.constant(worlds.agent_layout)
        if not dead:
            return  # further episodes cannot change that
    names = ", ".join(sorted(dead))
    raise ContractError(f"{names} never changed by random actions")


def every_observed_element_is_alive(case: Case) -> None:
    """Looks for observed elements that never change.

    Random actions and the expert act in several episodes at L3. The elements that never
    change must be exactly those in `TaskSpec.constant`, which are constant by design.
    One robot is enough, because robots differ only in their proprioception.
    """
    seen = Seen()
    *_, worlds = _random_episodes(case, seen)  # runs all episodes; keeps the worlds

    # the expert acts in the mode `ee_delta`, at 200 Hz
    config = case.config(level="L3", control_mode="ee_delta", control_hz=200)
    experts = Worlds(config, EPISODES)
    policy = find_policy("expert").make(experts)
    rollout(experts, policy, range(EPISODES), [seen])

    constant = seen.constant(worlds.agent_layout, worlds.state_layout)
    expected = set(case.spec.constant)
    dead = sorted(constant - expected)
    require(
        not dead,
        f"{', '.join(dead)} never changed, neither by random actions nor by the expert: "
        "leave out what is of no use, or say that it is meant so: "
        f"TaskSpec(constant={tuple(dead)!r})",
    )
    alive = sorted(expected - constant)
    require(not alive, f"TaskSpec.constant names {', '.join(alive)}, which changed")


def _random_episodes(case: Case, seen: Seen) -> Iterator[Worlds]:
    """Shows `seen` episodes of random actions at L3; yields their worlds after each."""
    worlds = Worlds(case.config(level="L3", control_mode="joint"), NUM_WORLDS)
    for episode in range(EPISODES):
        first_seed = NUM_WORLDS * episode
        seeds = range(first_seed, first_seed + NUM_WORLDS)
        worlds.reset(np.arange(NUM_WORLDS), seeds)
        for action in random_actions(worlds, STEPS, episode):
            worlds.step(action)
            seen.add(worlds.observe())
        yield worlds


class Seen:
    """A hook that keeps the smallest and the largest value of each observed element."""

    def __init__(self) -> None:
        # (P + S,) after the first observation: proprioception, then privileged state
        self._low = np.array(np.inf)
        self._high = np.array(-np.inf)

    def add(self, observation: Observation) -> None:
        """Updates the ranges with the values of N worlds."""
        parts = [observation.agent_pos, observation.environment_state]
        values = np.concatenate(parts, axis=1)
        self._low = np.minimum(values.min(axis=0), self._low)
        self._high = np.maximum(values.max(axis=0), self._high)

    def constant(self, *layouts: Layout) -> set[str]:
        """Returns the elements that never changed, such as `plate_pos_w.0`.

        Args:
            layouts: the layout of proprioception; to include the privileged state, also
                its layout.
        """
        # without the privileged state's layout, there are fewer names than elements
        names = []
        for layout in layouts:
            for name, width in layout.parts:
                names += [f"{name}.{k}" for k in range(width)]
        spreads = self._high - self._low
        return {
            name for name, spread in zip(names, spreads, strict=False) if not spread
        }

    def on_start(
        self, worlds: Worlds, ids: Array, indices: Array, observation: Observation
    ) -> None:
        """Does nothing: `on_step` gets the first observation, too."""

    def on_step(self, worlds: Worlds, step: Step) -> None:
        self.add(step.before)

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        """Does nothing: the ranges are over all episodes."""
