"""The policy `pretrained`: what ships, for what, and that it acts like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from embodied.cli.demo_stages import TASK
from embodied.errors import EmbodiedError
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.pretrained import PRETRAINED, shipped_runs
from embodied.policies.registry import find_policy, policy_summaries
from embodied.policies.run_folder import FILES, HISTORY, INFO, WEIGHTS
from embodied.rollout.rollout import EpisodeResult

MAX_BYTES = 5e6


def test_a_run_ships_for_the_demo() -> None:
    assert f"{TASK}-arm" in [run.name for run in shipped_runs()]
    assert find_policy("pretrained") is PRETRAINED
    assert len(PRETRAINED.weights_hash) == 64


@pytest.mark.parametrize("run", shipped_runs(), ids=lambda run: run.name)
def test_what_ships_is_small_whole_and_named_for_what_it_does(run: Path) -> None:
    files = [path.name for path in run.iterdir()]
    assert sorted(files) == sorted([WEIGHTS, INFO, HISTORY])
    assert set(files) < set(FILES)
    assert sum(path.stat().st_size for path in run.iterdir()) < MAX_BYTES

    # `pretrained` leads to this very run for the pair that its folder is named for.
    task, robot = run.name.split("-")
    source = find_policy(str(run))
    assert source.spec(task, robot) == PRETRAINED.spec(task, robot)
    assert source.planner_hz == PRETRAINED.planner_hz
    summary = policy_summaries()["pretrained"]
    assert task in summary
    assert robot in summary


def test_what_does_not_ship_is_refused() -> None:
    message = "no pretrained policy ships for TableWipe-arm, only for ToteTransfer-arm"
    with pytest.raises(EmbodiedError, match=message):
        PRETRAINED.spec("TableWipe")
    with pytest.raises(EmbodiedError, match="ToteTransfer-wheeled_arm"):
        PRETRAINED.spec("ToteTransfer", "wheeled_arm")
    with pytest.raises(EmbodiedError, match="unknown task 'Totes'"):
        PRETRAINED.spec("Totes")


def played(policy: str) -> list[EpisodeResult]:
    config = env_config_for(find_policy(policy).spec(TASK), TASK, "L1", "train")
    return EpisodeRunner(policy, config).run([10_000, 10_001])


@pytest.mark.slow
def test_it_does_the_task_as_its_run_folder_does() -> None:
    results = played("pretrained")
    assert results == played(str(shipped_runs()[0]))
    assert [result.success_at_end for result in results] == [True, True]
