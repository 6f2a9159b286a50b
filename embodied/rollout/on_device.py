"""Episodes of a numpy policy in worlds on a device: slow, for comparing engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from embodied.core import PHYSICS_HZ, Observation, Policy, seconds_to_ticks
from embodied.envs.warp.worlds import WarpStepResult, WarpWorlds
from embodied.rollout.rollout import AFTER_SUCCESS_S
from embodied.sim.engine import FAULTS


@dataclass(frozen=True)
class DeviceEpisode:
    """What came of the first episode of one world."""

    success_at_end: bool
    progress_end: float
    duration_s: float
    fault: str


def play_on_device(
    worlds: WarpWorlds,
    policy: Policy,
    first_seed: int,
    on_step: Callable[[int], object] | None = None,
) -> list[DeviceEpisode]:
    """Runs the first episode of each world, those of consecutive seeds, and returns
    what came of them.

    An episode ends as in `rollout`; its world then goes on unobserved until the last
    one has ended. `on_step` is told how many have.
    """
    num = worlds.num_worlds
    after = seconds_to_ticks(AFTER_SUCCESS_S)
    episodes: list[DeviceEpisode | None] = [None] * num
    success_tick = np.full(num, -1)
    tick = 0
    seen = _observation(worlds, *worlds.reset(), tick)
    policy.reset(np.arange(num), seen, list(range(first_seed, first_seed + num)))
    while None in episodes:
        done = worlds.step(torch.as_tensor(np.asarray(policy.act(seen), np.float32)))
        tick += worlds.ticks_per_step
        success = done.success.cpu().numpy()
        ended = (done.terminated | done.truncated).cpu().numpy()
        success_tick = np.where(success & (success_tick < 0), tick, success_tick)
        settled = (success_tick >= 0) & (tick >= success_tick + after)
        for world in np.flatnonzero(ended | settled):
            if episodes[world] is None:
                episodes[world] = _episode(done, int(world), tick)
        seen = _observation(worlds, done.agent_pos, done.environment_state, tick)
        if on_step is not None:
            on_step(num - episodes.count(None))
    return [episode for episode in episodes if episode is not None]


def _observation(
    worlds: WarpWorlds, agent_pos: torch.Tensor, state: torch.Tensor, tick: int
) -> Observation:
    """For the policy all worlds are of one age, also those that have begun anew and
    that nobody looks at.
    """
    return Observation(
        tick=np.full(worlds.num_worlds, tick),
        agent_pos=agent_pos.cpu().numpy().astype(np.float64),
        environment_state=state.cpu().numpy().astype(np.float64),
        instruction=worlds.instructions,
    )


def _episode(done: WarpStepResult, world: int, tick: int) -> DeviceEpisode:
    return DeviceEpisode(
        success_at_end=bool(done.success[world]),
        progress_end=float(done.progress[world]),
        duration_s=tick / PHYSICS_HZ,
        fault=FAULTS[int(done.fault[world])],
    )
