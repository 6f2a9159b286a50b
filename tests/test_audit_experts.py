"""The audit's thresholds: at most 2% of the experts' episodes are flagged."""

from __future__ import annotations

from pathlib import Path

import pytest

from embodied.datasets.audit.run import audit
from embodied.envs.registry import TASKS, get_task, robots_for
from tests.commands import embodied
from tests.ground import some_of


def audited_pairs() -> list[tuple[str, str, int]]:
    """Returns task, robot and number of episodes, 31 episodes in all.

    They are two of each task with its first robot, and one of every third task with its
    second robot.
    """
    pairs = []
    for number, task in enumerate(TASKS):
        robots = robots_for(get_task(task))
        pairs.append((task, robots[0], 2))
        if number % 3 == 0:
            pairs += [(task, robot, 1) for robot in robots[1:2]]
    return pairs


@pytest.mark.slow
@pytest.mark.usefixtures("few_threads")
@pytest.mark.parametrize(
    ("task", "robot", "episodes"),
    some_of(audited_pairs(), 3, pytest.mark.exhaustive),
)
def test_episodes_of_experts_are_not_flagged(
    task: str, robot: str, episodes: int, tmp_path: Path
) -> None:
    # 2% of 31 episodes is less than one: none may be flagged.
    path = tmp_path / "demos.hdf5"
    options = f"--robot {robot} --episodes {episodes} --seed 100 --image-size 32"
    assert embodied("collect", task, "-o", path, *options.split()) == 0

    audited = audit(path)
    assert len(audited.episodes) == episodes
    flagged = [
        (episode.demo, episode.findings)
        for episode in audited.episodes
        if episode.findings
    ]
    assert not flagged
