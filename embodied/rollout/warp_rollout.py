"""Runs a numpy policy on the engine `warp`: slow, and only for comparing engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from embodied.core import PHYSICS_HZ, Observation, Policy
from embodied.envs.warp.worlds import WarpStepResult, WarpWorlds
from embodied.rollout.episode_stats import AFTER_SUCCESS_TICKS, NEVER
from embodied.sim.engine import FAULTS


@dataclass(frozen=True)
class WarpEpisode:
    """The result of the first episode of one world; see `EpisodeResult`."""

    success_at_end: bool
    progress_end: float
    duration_s: float
    fault: str


def play_on_warp(
    worlds: WarpWorlds,
    policy: Policy,
    first_seed: int,
    on_step: Callable[[int], object] | None = None,
) -> list[WarpEpisode]:
    """Runs the first episode of each world.

    An episode ends as in `rollout`. Its world keeps running, and is ignored, until the
    last episode has ended.

    Args:
        worlds: N worlds made with `seed=first_seed`, so that world i starts from the
            seed `first_seed` + i.
        policy: the policy, which takes and returns numpy arrays.
        first_seed: seed of world 0.
        on_step: called after each step with the number of ended episodes.

    Returns:
        N results.
    """
    num = worlds.num_worlds
    episodes: list[WarpEpisode | None] = [None] * num
    success_tick = np.full(num, NEVER)  # tick of the first success
    tick = 0
    agent_pos, state = worlds.reset()
    observation = _observation(worlds, agent_pos, state, tick)
    seeds = list(range(first_seed, first_seed + num))
    policy.reset(np.arange(num), observation, seeds)

    while None in episodes:
        action = np.asarray(policy.act(observation), np.float32)
        result = worlds.step(torch.as_tensor(action))
        tick += worlds.ticks_per_step

        # an episode is terminated or truncated, or ends a while after its first success
        success = result.success.cpu().numpy()
        ended = torch.logical_or(result.terminated, result.truncated).cpu().numpy()
        success_tick = np.where(success & (success_tick == NEVER), tick, success_tick)
        has_succeeded = success_tick != NEVER
        success_is_old = tick >= success_tick + AFTER_SUCCESS_TICKS
        is_over = ended | (has_succeeded & success_is_old)
        # keep a world's first episode; later ones of a world that ends early don't count
        for world in np.flatnonzero(is_over):
            if episodes[world] is None:
                episodes[world] = _episode(result, int(world), tick)

        observation = _observation(
            worlds, result.agent_pos, result.environment_state, tick
        )
        if on_step is not None:
            on_step(num - episodes.count(None))
    return [episode for episode in episodes if episode is not None]


def _observation(
    worlds: WarpWorlds, agent_pos: torch.Tensor, state: torch.Tensor, tick: int
) -> Observation:
    """Returns the observation at `tick` of the first episode of each world.

    A world in a later episode has another tick, but its result is ignored.
    """
    return Observation(
        tick=np.full(worlds.num_worlds, tick),
        agent_pos=agent_pos.cpu().numpy().astype(np.float64),
        environment_state=state.cpu().numpy().astype(np.float64),
        instruction=worlds.instructions,
    )


def _episode(result: WarpStepResult, world: int, tick: int) -> WarpEpisode:
    """Returns the result of the episode that ended in a world at a tick."""
    return WarpEpisode(
        success_at_end=bool(result.success[world]),
        progress_end=float(result.progress[world]),
        duration_s=tick / PHYSICS_HZ,
        fault=FAULTS[int(result.fault[world])],
    )
