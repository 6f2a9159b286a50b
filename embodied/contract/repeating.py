"""Contracts on repeatability: equal seeds and actions give equal bits."""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise

import numpy as np

from embodied.contract.case import Case, random_actions, require
from embodied.contract.traces import require_same, trace
from embodied.envs.episodes import EpisodeStart


def the_same_seed_gives_the_same_bits(case: Case) -> None:
    """Runs the same episodes twice in new worlds, and once in worlds used before."""
    first = case.worlds(4, level="L4")
    again = case.worlds(4, level="L4")
    actions = random_actions(first, 30)
    expected = trace(first, actions)
    require_same(expected, trace(again, actions), what="two runs of the same seeds")

    # reset the used worlds to the same seeds
    first.reset(np.arange(4), range(4))
    what = "worlds that were used before, and new ones,"
    require_same(expected, trace(first, actions), what=what)


def a_world_alone_is_the_world_among_sixteen(case: Case) -> None:
    """Compares world 9 of 16 with the same episode alone."""
    many = case.worlds(16, level="L3")
    alone = case.worlds(1, first_seed=9, level="L3")
    actions = random_actions(many, 40)
    require_same(
        trace(many, actions),
        trace(alone, actions[:, 9:10]),
        ids=slice(9, 10),
        other_ids=slice(0, 1),
        what="a world among 16 and the same alone",
    )


def two_threads_give_the_bits_of_one(case: Case) -> None:
    """Compares worlds stepped by one thread and by two."""
    one = case.worlds(8, num_threads=1)
    two = case.worlds(8, num_threads=2)
    actions = random_actions(one, 30)
    require_same(trace(one, actions), trace(two, actions), what="one and two threads")


def consecutive_resets_differ(case: Case) -> None:
    """Resets three times; each episode must start differently."""
    with closing(case.make(level="L1")) as env:
        starts = [env.reset(seed=0)[0], env.reset()[0], env.reset()[0]]
    for start, next_start in pairwise(starts):
        for key in ("agent_pos", "environment_state"):
            require(
                (start[key] != next_start[key]).any(),
                f"{key} is the same at two starts in a row: nothing varies at L1",
            )


def a_reset_forgets_the_episode_before(case: Case) -> None:
    """Compares worlds after a reset with new worlds of the same seeds.

    The episode before has sampled variation, moved things, and ended with a fault.
    """
    used = case.worlds(2, first_seed=50, level="L4")
    fresh = case.worlds(2, first_seed=3, level="L4")

    # 60 steps (3 s) at L4; in the last one world 1 becomes faulty
    actions = random_actions(used, 60)
    actions[-1, 1] = np.nan
    trace(used, actions)
    used.reset(np.arange(2), range(3, 5))

    observation = used.observe()
    expected = fresh.observe()
    for key in ("agent_pos", "environment_state"):
        same = getattr(observation, key).tobytes() == getattr(expected, key).tobytes()
        require(same, f"{key} after a reset depends on the episode before it")
    require(
        observation.instruction == expected.instruction,
        "the instruction after a reset depends on the episode before it",
    )
    for world in range(2):
        _require_same_start(used.episode_start(world), fresh.episode_start(world))
    require_same(
        trace(fresh, actions[:20]),
        trace(used, actions[:20]),
        what="new worlds, and worlds that had another episode before,",
    )


def _require_same_start(start: EpisodeStart, expected: EpisodeStart) -> None:
    """Raises ContractError if two recorded starts of one seed differ."""
    require(
        start.fields.keys() == expected.fields.keys(),
        "the fields that vary depend on the episode before",
    )
    for name, values in expected.fields.items():
        require(
            start.fields[name].tobytes() == values.tobytes(),
            f"{name} after a reset depends on the episode before it",
        )


def a_recorded_start_gives_the_same_bits(case: Case, level: str) -> None:
    """Begins a recorded episode in another batch, as another world."""
    first = case.worlds(3, first_seed=20, level=level)
    start = first.episode_start(2)
    actions = random_actions(first, 50)

    # World 2 of three becomes world 1 of two. Both new worlds are in the middle of other
    # episodes, which must have no effect on the restored one.
    again = case.worlds(2, first_seed=90, level=level)
    again.step(actions[0, :2])
    again.begin_recorded(1, start)
    require(
        again.instructions[1] == first.instructions[2],
        "a restored episode has another instruction",
    )
    require_same(
        trace(first, actions),
        trace(again, actions[:, [0, 2]]),
        ids=slice(2, 3),
        other_ids=slice(1, 2),
        what="an episode and its recorded start, which `memory` must make whole,",
    )


def a_world_continues_from_a_snapshot(case: Case) -> None:
    """Restores a snapshot from the middle of an episode in another batch."""
    first = case.worlds(3, first_seed=20, level="L4")
    actions = random_actions(first, 50)
    # play half of the actions, then copy world 2
    trace(first, actions[:25])
    snapshot = first.snapshot(2)

    # World 2 of three becomes world 1 of two. Both new worlds are in the middle of other
    # episodes, which must have no effect on the restored one.
    again = case.worlds(2, first_seed=90, level="L4")
    again.step(actions[0, :2])
    again.restore(snapshot, 1)
    require_same(
        trace(first, actions[25:]),
        trace(again, actions[25:, [0, 2]]),
        ids=slice(2, 3),
        other_ids=slice(1, 2),
        what="an episode and its snapshot, which `memory` must make whole,",
    )
