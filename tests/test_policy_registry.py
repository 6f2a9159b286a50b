"""Policies by name: built in, runs, entry points, and those of a module of one's own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from embodied import plugins
from embodied.core import Observation, PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies import policy_from_function, registry
from embodied.policies.registry import BUILT_IN, find_policy, policy_summaries
from embodied.policies.run_folder import INFO, SCHEMA_VERSION

TASK = "ToteTransfer"

# What people write into a module of their own, right and wrong.
MODULE = """
import numpy as np
from embodied.errors import EmbodiedError
from embodied.policies import policy_from_function

def rest(observation, signals):
    return np.zeros((len(observation.tick), 8))

resting = policy_from_function(rest)

def factory():
    return resting

def broken():
    return 1 / 0

def refusing():
    raise EmbodiedError("the weights are elsewhere")

def nothing():
    return None

number = 3

class Group:
    inner = resting
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module in the current directory, which is not on the path."""
    (tmp_path / "own_policies.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "own_policies"
    sys.modules.pop("own_policies", None)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_built_in_policies_say_what_they_are(name: str) -> None:
    source = find_policy(name)
    assert source.trained_for is None
    assert source.planner_hz is None or source.planner_hz > 0
    assert BUILT_IN[name].summary == policy_summaries()[name]


@pytest.mark.parametrize("name", ["expert", "random", "hold"])
def test_built_in_policies_act_in_the_worlds_they_ask_for(name: str) -> None:
    source = find_policy(name)
    spec = source.spec(TASK)
    # Worlds with the control mode and rate that the policy's spec asks for.
    config = EnvConfig(TASK, control_mode=spec.control_mode, control_hz=spec.control_hz)
    worlds = Worlds(config, 2)
    worlds.reset(np.arange(2), [0, 1])
    observation = worlds.observe()

    policy = source.make(worlds)
    policy.reset(np.arange(2), observation, [0, 1])
    assert policy.spec == spec
    assert policy.act(observation).shape == (2, len(worlds.interface.low))
    assert source.weights_hash == ""


def test_an_unknown_policy_names_what_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs" / "totes").mkdir(parents=True)
    (tmp_path / "runs" / "totes" / INFO).write_text("{}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EmbodiedError, match="Did you mean 'expert'") as caught:
        find_policy("expret")
    for name in (*BUILT_IN, "runs/totes", "MODULE:NAME"):
        assert name in str(caught.value)


@pytest.mark.parametrize("name", ["expert", "random"])
@pytest.mark.parametrize(
    ("task", "robot", "message"),
    [("Nowhere", None, "unknown task"), (TASK, "nobody", "unknown robot")],
)
def test_an_unknown_task_or_robot_is_named(
    name: str, task: str, robot: str | None, message: str
) -> None:
    with pytest.raises(EmbodiedError, match=message):
        find_policy(name).spec(task, robot)


@pytest.mark.parametrize("attribute", ["resting", "factory", "Group.inner"])
def test_a_module_of_the_current_directory(module: str, attribute: str) -> None:
    source = find_policy(f"{module}:{attribute}")
    assert source.spec(TASK) == PolicySpec()
    assert source.planner_hz is None
    assert len(source.weights_hash) == 64  # of the module's file


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:policy", "there is no module 'no_such_module', neither in"),
        ("own_policies.inner:policy", "there is no module 'own_policies.inner'"),
        ("own_policies:restin", "has no 'restin'. Did you mean 'resting'"),
        ("own_policies:broken", r"ZeroDivisionError: .* \(own_policies.py, line 15\)"),
        ("own_policies:refusing", "the weights are elsewhere"),
        ("own_policies:nothing", "returned None, which is no policy: make one with"),
        ("own_policies:number", "is 3, which is no policy"),
        ("own_policies:Group", "returned a Group, which is no policy"),
    ],
)
def test_what_is_no_policy_is_refused_in_one_line(
    module: str, name: str, message: str
) -> None:
    with pytest.raises(EmbodiedError, match=message) as caught:
        find_policy(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = ", r"SyntaxError.*bad_policies.py"),
        (
            "import no_such_thing",
            "ModuleNotFoundError: No module named 'no_such_thing'",
        ),
    ],
)
def test_a_module_that_cannot_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    (tmp_path / "bad_policies.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(EmbodiedError, match=message):
        find_policy("bad_policies:policy")


def test_entry_points_join_and_broken_ones_break_nothing_else(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [
        EntryPoint("resting", f"{module}:resting", registry.GROUP),
        EntryPoint("gone", "removed_package:policy", registry.GROUP),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: entries)

    assert find_policy("resting").spec(TASK) == PolicySpec()
    assert find_policy("expert").planner_hz == 8
    # A broken entry point is listed, and refused only when it is asked for.
    assert policy_summaries()["gone"] == "of the package removed_package"
    with pytest.raises(
        EmbodiedError, match="gone of the package removed_package: there is"
    ):
        find_policy("gone")


@pytest.mark.parametrize("name", ["expert", "resting"])
def test_entry_points_that_clash_are_left_out_with_a_warning(
    module: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    entries = [
        EntryPoint("resting", f"{module}:resting", registry.GROUP),
        EntryPoint(name, "another_package:policy", registry.GROUP),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: entries)
    message = f"the package another_package: its entry point '{name}'"
    with pytest.warns(UserWarning, match=message):
        source = find_policy("resting")
    assert source.spec(TASK) == PolicySpec()


def test_a_run_of_an_unknown_kind(tmp_path: Path) -> None:
    stored = {"schema_version": SCHEMA_VERSION, "kind": "later"}
    (tmp_path / INFO).write_text(json.dumps(stored))
    with pytest.raises(EmbodiedError, match="kind 'later'; this package reads vla"):
        find_policy(str(tmp_path))


@pytest.mark.parametrize("privileged", [False, True])
def test_a_function_gets_the_parts_of_its_observation(privileged: bool) -> None:
    received: list[dict[str, np.ndarray]] = []

    def act(observation: Observation, signals: dict[str, np.ndarray]) -> np.ndarray:
        received.append(signals)
        return np.zeros((len(observation.tick), 8))

    # Privileged signals are shown only to a policy whose spec asks for them.
    source = policy_from_function(act, PolicySpec(privileged=privileged))
    worlds = Worlds(EnvConfig(TASK), 2)
    worlds.reset(np.arange(2), [0, 1])
    policy = source.make(worlds)
    actions = policy.act(worlds.observe(privileged))

    assert actions.dtype == np.float32
    assert received[0]["tcp_pos_w"].shape == (2, 3)
    assert ("tote_pos_w" in received[0]) == privileged


def test_a_planner_that_cannot_be_made_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "from embodied.policies import policy_from_planner\n"
        "def planner(worlds):\n"
        "    return worlds.no_such_thing\n"
        "broken = policy_from_planner(planner)\n"
    )

    (tmp_path / "broken_planner.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    # Importing from the working directory puts it on the path, which must end with the
    # test.
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(EmbodiedError, match=r"made for ToteTransfer: AttributeError"):
        find_policy("broken_planner:broken").spec(TASK)
