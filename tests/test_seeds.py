"""Seeds: what we take is taken by all that we call, and the rest is refused by us."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.utils import set_random_seed

from embodied.errors import EmbodiedError
from embodied.policies.rl.config import RLConfig
from embodied.policies.training.budget import Budget
from embodied.policies.training.config import ImitationConfig
from embodied.seeding import (
    GLOBAL_SEED_LIMIT,
    SEED_LIMIT,
    checked_seed,
    episode_generator,
    later_seed,
    seed_of_each,
)
from tests.commands import TASK, embodied, refused

# the limits of numpy, of torch, of JSON and of ours, and beside them
EDGES = [k + d for k in (0, 2**31, 2**32, 2**53, 2**63, 2**64) for d in (-1, 0, 1)]
SEEDS = st.sampled_from(EDGES) | st.integers(-(2**65), 2**65)
STEPS = st.integers(0, 10**9)
NO_SEEDS = [1.0, "1", True, np.float32(1), np.array(1), None, [1], float("nan")]


def accepted(make: Any, seed: int) -> bool:
    """Returns whether something can be made of a seed; another error fails the test."""
    try:
        make(seed)
    except EmbodiedError:
        return False
    return True


@given(SEEDS)
def test_seeds_of_episodes(seed: int) -> None:
    assert accepted(checked_seed, seed) == (0 <= seed < SEED_LIMIT)
    if accepted(checked_seed, seed):
        episode_generator(seed, 1).integers(2)
        gymnasium.utils.seeding.np_random(seed)
        assert np.array([seed], np.int64)[0] == seed


@given(SEEDS, st.integers(1, 5))
def test_seeds_of_many_worlds_end_below_the_limit(first: int, count: int) -> None:
    if 0 <= first <= SEED_LIMIT - count:
        each = seed_of_each(first, count)
        assert each == list(range(first, first + count))
        assert seed_of_each(np.array(each), count) == each
    else:
        with pytest.raises(EmbodiedError, match="a seed must be a whole number"):
            seed_of_each(first, count)


@pytest.mark.parametrize("seed", NO_SEEDS, ids=repr)
def test_what_is_no_seed(seed: Any) -> None:
    with pytest.raises(EmbodiedError, match="a seed must be a whole number from 0 to"):
        checked_seed(seed)
    if seed is not None:
        with pytest.raises(EmbodiedError, match="seed"):
            seed_of_each(seed, 2)


@given(SEEDS, STEPS)
def test_seeds_of_reinforcement_learning(seed: int, steps: int) -> None:
    taken = accepted(lambda seed: RLConfig(TASK, seed=seed), seed)
    assert taken == (0 <= seed < GLOBAL_SEED_LIMIT)
    if taken:
        set_random_seed(seed)
        set_random_seed(later_seed(seed, steps, GLOBAL_SEED_LIMIT))
        torch.manual_seed(later_seed(seed, steps))


@given(SEEDS, STEPS)
def test_seeds_of_imitation(seed: int, steps: int) -> None:
    def config(seed: int) -> ImitationConfig:
        return ImitationConfig((), (), Budget(), seed)

    taken = accepted(config, seed)
    assert taken == (0 <= seed < SEED_LIMIT)
    if taken:
        torch.manual_seed(seed)
        torch.Generator().manual_seed(later_seed(seed, steps))


ONE_SEED = ("demo", "train")
VERBS: list[tuple[str, ...]] = [
    ("collect", TASK, "--episodes", "2"),
    ("eval", TASK, "--policy", "hold", "--episodes", "2"),
    ("view", TASK, "--episodes", "2"),
    ("train", TASK, "--algo", "sac"),
    ("train", TASK, "--algo", "ppo"),
    ("train", "totes.hdf5"),
    ("demo",),
    ("gallery", "--task", TASK),
    ("survey", "--task", TASK, "--episodes", "2"),
    ("parity", "--task", TASK, "--device", "cpu", "--starts", "2"),
]


# the last seed exists: it is too many where two episodes are asked for
REFUSED = [(words, seed) for words in VERBS for seed in (-1, 2**63, 2**64)]
REFUSED += [(words, SEED_LIMIT - 1) for words in VERBS if words[0] not in ONE_SEED]


@pytest.mark.parametrize(("words", "seed"), REFUSED)
def test_each_verb_refuses_seeds_that_do_not_exist(
    words: tuple[str, ...],
    seed: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"{seed}" in refused(capsys, *words, "--seed", seed, "-o", "out.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["sac", "ppo"])
def test_the_last_seed_trains_and_resumes(algorithm: str, tmp_path: Path) -> None:
    words = ["train", TASK, "--algo", algorithm, "--stage", "reach", "--demos", "0"]
    words = words if algorithm == "sac" else words[:-2]
    words += ["--num-envs", "2", "--seed", str(GLOBAL_SEED_LIMIT - 1)]
    words += ["-o", str(tmp_path / "run")]
    assert embodied(*words, "--steps", 130) == 0
    assert embodied(*words, "--steps", 260, "--resume") == 0
