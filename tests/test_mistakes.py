"""Mistakes in Python: each gets one line of ours, never an error of a library's own."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest

from embodied.envs.sb3 import SB3VecEnv
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.custom import policy_from_function
from embodied.policies.episodes import EpisodeRunner
from embodied.policies.registry import find_policy
from embodied.policies.training.budget import Budget
from embodied.rollout.rollout import rollout
from tests.ground import env_config

ID = "embodied/ToteTransfer-v0"
NUM_ACTIONS = 8
NO_ACTIONS: list[Any] = [
    "left",
    b"left",
    None,
    3,
    {"arm": 1},
    ["left"] * NUM_ACTIONS,
    [[1], [1, 2]],
    [[object()] * NUM_ACTIONS] * 2,
    np.zeros(3),
    np.zeros((2, NUM_ACTIONS), complex),
    np.zeros((2, NUM_ACTIONS), "datetime64[s]"),
    [],
]


@pytest.fixture(scope="module")
def made() -> Any:
    """One of everything that takes actions, each with episodes begun."""
    single = gymnasium.make(ID, num_threads=1).unwrapped
    vector = gymnasium.make_vec(ID, num_envs=2, num_threads=1)
    sb3 = SB3VecEnv(gymnasium.make_vec(ID, num_envs=2, num_threads=1))
    worlds = Worlds(env_config(), 2)
    single.reset(seed=0)
    vector.reset(seed=0)
    sb3.reset()
    worlds.reset(np.arange(2), [0, 1])
    return SimpleNamespace(single=single, vector=vector, sb3=sb3, worlds=worlds)


def refusal(mistake: Callable[[], object]) -> str:
    with pytest.raises(EmbodiedError) as error:
        mistake()
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


@pytest.mark.parametrize("action", NO_ACTIONS, ids=range(len(NO_ACTIONS)))
@pytest.mark.parametrize("kind", ["single", "vector", "sb3", "worlds"])
def test_actions_that_are_none(made: Any, kind: str, action: Any) -> None:
    # the last two cases fit no single world either
    assert "actions" in refusal(lambda: getattr(made, kind).step(action))


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda observation, signals: "left", "actions must be"),
        (lambda observation, signals: None, "actions"),
        (lambda observation, signals: np.zeros((1, 2)), "actions of shape"),
        (
            lambda observation, signals: signals["tpc_pos_w"],
            "unknown signal 'tpc_pos_w'. Did you mean 'tcp_pos_w'?",
        ),
    ],
)
def test_functions_that_are_no_policy(act: Any, words: str) -> None:
    source = policy_from_function(act)
    worlds = Worlds(env_config())
    policy = source.make(worlds)
    assert words in refusal(lambda: rollout(worlds, policy, [0]))


@pytest.mark.parametrize(
    "mistake",
    [
        lambda made: SB3VecEnv(made.single),
        lambda made: SB3VecEnv(made.worlds),
        lambda made: SB3VecEnv(ID),  # type: ignore[arg-type]
        lambda made: made.sb3.seed("a"),
        lambda made: made.sb3.seed(-1),
        lambda made: made.worlds.reset(np.arange(2), [0]),
        lambda made: made.worlds.reset(np.arange(2), [0, -1]),
        lambda made: made.worlds.reset(np.arange(2), [0, 1.5]),
        lambda made: Worlds(env_config(), 0),
        lambda made: find_policy(None),  # type: ignore[arg-type]
        lambda made: find_policy(""),
        lambda made: Budget(float("inf")),
        lambda made: Budget(float("nan")),
        lambda made: Budget(max_steps=0),
        lambda made: EpisodeRunner("hold", env_config()).run([-1]),
    ],
)
def test_other_mistakes(made: Any, mistake: Callable[[Any], object]) -> None:
    refusal(lambda: mistake(made))


def test_no_episodes_have_no_results() -> None:
    assert EpisodeRunner("hold", env_config()).run([]) == []
