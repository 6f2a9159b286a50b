"""The audit's thresholds: at most 2% of the experts' episodes are flagged."""

from __future__ import annotations

from pathlib import Path

import pytest

from embodied.datasets.audit.run import audit
from embodied.envs.registry import TASKS, get_task, robots_for
from tests.commands import embodied

# of each task: with its first robot and with its second; a third would tell little more
EPISODES = (4, 1)
FLAGGED_SHARE = 0.02


@pytest.mark.slow
@pytest.mark.usefixtures("few_threads")
def test_few_episodes_of_experts_are_flagged(tmp_path: Path) -> None:
    flagged = []
    count = 0
    for task in TASKS:
        robots = robots_for(get_task(task))
        for robot, episodes in zip(robots, EPISODES, strict=False):
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
