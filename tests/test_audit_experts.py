"""The audit's thresholds: at most 2% of the experts' episodes are flagged."""

from __future__ import annotations

from pathlib import Path

import pytest

from embodied.datasets.audit.run import audit
from embodied.envs.registry import TASKS, get_task, robots_for
from tests.commands import embodied

# of each task with its first robot, and of every third with its second
EPISODES = 2
OTHERS = 1
FLAGGED_SHARE = 0.02


@pytest.mark.slow
@pytest.mark.usefixtures("few_threads")
def test_few_episodes_of_experts_are_flagged(tmp_path: Path) -> None:
    flagged = []
    count = 0
    for number, task in enumerate(TASKS):
        robots = robots_for(get_task(task))
        chosen = [(robots[0], EPISODES)]
        if number % 3 == 0:
            chosen += [(robot, OTHERS) for robot in robots[1:2]]
        for robot, episodes in chosen:
            path = tmp_path / f"{task}_{robot}.hdf5"
            options = (
                f"--robot {robot} --episodes {episodes} --seed 100 --image-size 32"
            )
            assert embodied("collect", task, "-o", path, *options.split()) == 0
            audited = audit(path)
            count += len(audited.episodes)
            flagged += [
                (path.name, one.demo, one.findings)
                for one in audited.episodes
                if one.findings
            ]
            path.unlink()

    assert len(flagged) <= FLAGGED_SHARE * count, flagged
