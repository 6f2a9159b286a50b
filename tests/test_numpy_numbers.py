"""Numbers of numpy are as good as Python's wherever a number is given."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from embodied.core import PolicySpec
from embodied.datasets.reader import Dataset
from embodied.datasets.recorder import Recorder
from embodied.datasets.replay import replay
from embodied.datasets.schema import Header
from embodied.datasets.writer import EpisodeWriter
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task, task_names
from embodied.envs.tasks.panel_reset.task import PanelReset
from embodied.envs.variation import Interval, Variation
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.plain import to_python
from embodied.policies.channel import Interruption
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.episodes import EpisodeRunner
from embodied.policies.latency import Constant, LogNormal, Trace
from embodied.policies.registry import find_policy
from embodied.policies.rl.config import RLConfig
from embodied.policies.run_folder import write_json
from embodied.policies.training.budget import Budget
from embodied.policies.training.config import ImitationConfig
from embodied.rollout.rollout import rollout
from tests.ground import env_config, shorten_horizon

CONFIGS = (
    EnvConfig("PanelReset", camera_hz=10.0, horizon_s=3.5, cameras=("panel",)),
    DualSystemConfig(),
    Constant(3.5),
    LogNormal(20.0, 0.5),
    Interruption(0.5, start_s=1.0),
    Budget(2.5, 100),
    ImitationConfig((Path("a.hdf5"),), ("front",), Budget(), workers=2),
    RLConfig("PanelReset"),
    PolicySpec(cameras=("front",), camera_hz=10),
    EpisodeRunner("expert", env_config(), noise=0.25),
)


def as_numpy(value: Any) -> list[Any]:
    """Returns a value as numpy may give it, or nothing if it never does."""
    if isinstance(value, bool):
        return [np.bool_(value), np.array(value)]
    if isinstance(value, int):
        return [np.int64(value), np.uint16(value), np.array(value)]
    if isinstance(value, float):
        return [np.float64(value), np.float32(value), np.array(value, np.float32)]
    if isinstance(value, str):
        return [np.str_(value)]
    return []


CASES = [
    (config, f.name, value)
    for config in CONFIGS
    for f in fields(config)
    for value in as_numpy(getattr(config, f.name))
    if value.size and np.all(value >= 0 if value.dtype.kind == "u" else True)
]


@pytest.mark.parametrize(
    ("config", "name", "value"),
    CASES,
    ids=[f"{type(c).__name__}-{n}-{type(v).__name__}" for c, n, v in CASES],
)
def test_configs_hold_plain_numbers(config: Any, name: str, value: Any) -> None:
    made = replace(config, **{name: value})
    assert made == config
    assert type(getattr(made, name)) is type(getattr(config, name))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.1), 0.1),
        (np.float16(0.1), 0.1),
        (np.float64(0.1), 0.1),
        (np.array([0.1, 2], np.float32), [0.1, 2.0]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(["red", "blue"]), ["red", "blue"]),
        ((np.int8(1), [np.bool_(True)]), (1, [True])),
        ({np.str_("a"): {"b": np.uint8(3)}}, {"a": {"b": 3}}),
        (torch.tensor(2), 2),
        (torch.tensor([0.5, 1.0]), [0.5, 1.0]),
        (Fraction(1, 4), 0.25),
        (None, None),
        (Path("a"), Path("a")),
    ],
    ids=repr,
)
def test_plain(value: Any, expected: Any) -> None:
    made = to_python(value)
    assert made == expected
    assert repr(made) == repr(expected)


def test_arrays_of_names_are_cameras() -> None:
    config = EnvConfig("PanelReset", obs="both", cameras=np.array(["panel", "hall"]))  # type: ignore[arg-type]
    assert config.cameras == ("panel", "hall")


@pytest.mark.parametrize("value", [True, np.bool_(True), np.float64(64.5), "64"])
def test_what_is_no_whole_number(value: Any) -> None:
    with pytest.raises(EmbodiedError, match="image_size must be a whole number, not"):
        EnvConfig("PanelReset", image_size=value)


@pytest.mark.parametrize("task", task_names())
def test_every_variable_takes_numbers_of_numpy(task: str) -> None:
    """Also at the ends of its range, where rounding to float32 would lead out of it."""
    table = get_task(task).table
    for variable in table:
        whole = variable.full_range()
        ends = [whole.low, whole.high] if isinstance(whole, Interval) else whole.values
        for end in ends:
            for value in as_numpy(end) or [np.array(end)]:
                if isinstance(end, int) and value.dtype.kind == "u" and end < 0:
                    continue
                config = EnvConfig(task, factors={variable.name: value})
                variation = Variation(table, "L4", "train", config.factors)
                sampled = variation.sample(0, variable.name)
                assert json.loads(json.dumps(sampled)) == json.loads(json.dumps(end))


def test_numpy_is_no_way_around_the_range() -> None:
    (variable,) = [
        v for v in get_task("PanelReset").table if isinstance(v.full_range(), Interval)
    ][:1]
    beyond = variable.full_range().high + 1
    for value in (np.float32(beyond), np.array(beyond), np.nan, np.float32("nan")):
        config = EnvConfig("PanelReset", factors={variable.name: value})
        with pytest.raises(EmbodiedError, match=f"{variable.name} cannot be"):
            Worlds(config)


def numbers_of_numpy(value: Any) -> Any:
    """Returns what was sampled, as a task that computes with numpy may return it."""
    if isinstance(value, float):
        return np.float32(value)
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int):
        return np.int64(value)
    if isinstance(value, list | tuple):
        return np.array(value)
    return np.str_(value) if isinstance(value, str) else value


def test_a_task_may_return_numbers_of_numpy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is recorded and replayed, by a config of numpy's numbers."""
    original = PanelReset.start

    def start(self: PanelReset, *arguments: Any) -> dict[str, Any]:
        sampled = original(self, *arguments)
        own = {"pose": np.eye(2, dtype=np.float32), "count": np.int16(3)}
        return {name: numbers_of_numpy(value) for name, value in sampled.items()} | own

    monkeypatch.setattr(PanelReset, "start", start)
    shorten_horizon(monkeypatch, 0.3)
    config = env_config(
        task="PanelReset",
        obs="both",
        image_size=np.int64(32),
        control_hz=np.int32(20),
        camera_hz=np.float32(10),
        horizon_s=np.float32(0.3),
    )
    path = tmp_path / "set.hdf5"
    with closing(Worlds(config, 2)) as worlds:
        header = Header(worlds.metadata(), "random", np.int64(10), np.float32(8))  # type: ignore[arg-type]
        with EpisodeWriter(path, header) as writer:
            policy = find_policy("random").make(worlds)
            rollout(worlds, policy, np.arange(2), [Recorder(writer, np.int64(10))])  # type: ignore[arg-type]

    with Dataset(path) as dataset:
        variation = dataset.episodes[1].variation
        assert variation["pose"] == [[1.0, 0.0], [0.0, 1.0]]
        assert variation["count"] == 3
        assert dataset.header.metadata["config"]["image_size"] == 32
        assert dataset.header.metadata["horizon_s"] == 0.3
    for report in replay(path, lambda metadata: Worlds(config)):
        assert report.identical


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "nan"),
        (np.float32("inf"), "inf"),
        ({1, 2}, "set"),
        (Path("a"), "a"),
        (np.array([1.0, np.nan]), "nan"),
    ],
    ids=["nan", "inf", "set", "path", "array"],
)
def test_what_cannot_be_stored_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, value: Any, reason: str
) -> None:
    original = PanelReset.start

    def start(self: PanelReset, *arguments: Any) -> dict[str, Any]:
        return {**original(self, *arguments), "odd_one": value}

    monkeypatch.setattr(PanelReset, "start", start)
    env = gymnasium.make("embodied/PanelReset-v0")
    with pytest.raises(EmbodiedError, match="odd_one") as refused:
        env.reset(seed=0)
    assert reason in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_counts_of_worlds_and_json(tmp_path: Path) -> None:
    env = gymnasium.make_vec("embodied/PanelReset-v0", num_envs=np.int64(2))
    assert type(env.num_envs) is int
    env.close()

    write_json(tmp_path / "a.json", {"rows": np.arange(2), "rate": np.float32(0.1)})
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "rows": [0, 1],
        "rate": 0.1,
    }
    assert Trace(np.array([1, 2], np.float32)).ms == (1.0, 2.0)  # type: ignore[arg-type]
