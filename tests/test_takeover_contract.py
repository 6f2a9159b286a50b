"""Every expert can take over in the middle of an episode."""

from __future__ import annotations

import pytest

from embodied.envs.registry import get_task, task_names
from embodied.policies.corrected import Correction
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.takeover import TakeoverRule
from embodied.rollout.rollout import EpisodeResult
from tests.ground import TASKS_AND_ROBOTS, some_of
from tests.wandering import SOURCE

EPISODES = 3
FIRST_SEED = 310
# experts that begin at the beginning succeed in nearly all (docs/ground.md)
LEAST_SUCCESSES = 2
# a pair whose robot is nearly too broad for its scene
TIGHT = ("Patrol", "dual_arm")
# every second task with its default robot, and every seventh pair: others in turn
DEFAULTS = [(task, get_task(task).default_robot) for task in task_names()]
PAIRS = [
    pair
    for k, pair in enumerate(TASKS_AND_ROBOTS)
    if pair in DEFAULTS[::2] or k % 7 == 0 or pair == TIGHT
]


def corrected_runs(
    task: str, robot: str, after_s: float, episodes: int
) -> list[EpisodeResult]:
    """Runs episodes at L2 in which the expert takes over from a policy that wanders."""
    runner = EpisodeRunner(
        "tests.wandering:SOURCE",
        env_config_for(SOURCE.spec(task, robot), task, "L2", "train", robot),
        num_envs=episodes,
        correction=Correction("expert", TakeoverRule(after_s=after_s)),
    )
    return runner.run(range(FIRST_SEED, FIRST_SEED + episodes))


@pytest.mark.slow
@pytest.mark.parametrize(("task", "robot"), some_of(PAIRS, 3, pytest.mark.exhaustive))
def test_an_expert_takes_over_from_any_state(task: str, robot: str) -> None:
    results = corrected_runs(task, robot, after_s=1.0, episodes=EPISODES)
    successes = sum(result.success_at_end for result in results)
    assert successes >= LEAST_SUCCESSES, [result.ended for result in results]
