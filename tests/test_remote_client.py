"""Our client against stand-ins for openpi's servers, which do all that servers do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embodied.core import Observation
from embodied.errors import EmbodiedError
from embodied.plan import PLAN_FAULTS
from embodied.policies.chunks import ChunkPlayer
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.remote import client
from embodied.policies.remote.planner import RemotePlanner
from embodied.policies.remote.settings import checked_settings, read_settings
from embodied.policies.remote.source import open_remote
from tests.dual_chunks import interface
from tests.dual_fakes import FakeWorlds, delays
from tests.remote_servers import (
    Talk,
    answering,
    hanging,
    pi0_like,
    raw,
    serving,
    to_bytes,
)

STEPS = 20
SIZE = 3
TIMEOUT_S = 0.3
GIGABYTE = (2**30).to_bytes(8, "big")
BINARY_FRAME = b"\x82\x7f"  # and its length in 8 bytes


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits less for servers that are lost."""
    monkeypatch.setattr(client, "PATIENCE_S", 0.1)
    monkeypatch.setattr(client, "CLOSE_TIMEOUT_S", 0.1)


def settings(port: int, **others: Any) -> Any:
    """Returns the settings of a server of chunks."""
    table = {
        "address": f"ws://127.0.0.1:{port}",
        "actions": SIZE,
        "chunk_steps": STEPS,
        "control_mode": "joint_delta",
        "control_hz": 200,
        "timeout_s": TIMEOUT_S,
        **others,
    }
    return checked_settings(table)


def planner_at(port: int, **others: Any) -> RemotePlanner:
    one = settings(port, **others)
    units = interface() if one.physical else None
    return RemotePlanner(one.endpoint, one.info, one.keys, units)


def observation(num: int = 1) -> Observation:
    worlds = FakeWorlds(num)
    return replace(worlds.observe(), instruction=("lift it",) * num)


@pytest.fixture
def server() -> Iterator[Any]:
    """Starts servers, which end with the test."""
    with ExitStack() as stack:
        yield lambda talk: stack.enter_context(serving(talk))


def test_chunks_of_a_pi0_like_server_become_plans(server: Any) -> None:
    seen: list[Any] = []
    port = server(pi0_like(STEPS, SIZE, seen))
    planner = planner_at(port, prompt_key="text", chunk_hz=10)

    plan = planner.plan(observation(2), np.arange(2))

    assert plan.shape == planner.plan_shape
    assert planner.unanswered.tolist() == [False, False]
    assert plan.chunk[:, :, 0] == pytest.approx(
        np.tile(np.arange(STEPS) / STEPS, (2, 1))
    )
    assert plan.chunk_hz.tolist() == [10, 10]
    # it was told nothing but what its settings name
    assert [sorted(each) for each in seen] == [["observation/state", "text"]] * 2
    assert seen[0]["text"] == "lift it"


def test_physical_actions_are_normalised(server: Any) -> None:
    port = server(pi0_like(STEPS, SIZE))
    plan = planner_at(port, units="physical").plan(observation(), np.arange(1))
    # joints go at up to 2 rad/s, the gripper opens to 0.08 m
    rows = np.arange(STEPS) / STEPS
    assert plan.chunk[0, :, 0] == pytest.approx(rows / 2)
    assert plan.chunk[0, :, 2] == pytest.approx(rows / 0.04 - 1)


def test_chunks_are_played_late(server: Any) -> None:
    port = server(pi0_like(STEPS, SIZE))
    system = system_at(port, latency=delays(compute_ms=100))
    actions, faults = play(system, steps=60)
    assert faults == []
    # the first plan is for 0 s, and is there at 0.1 s: row 2 of 20 at 20 Hz
    assert np.abs(actions[:20, :2]).max() == 0
    assert actions[25, 0] == pytest.approx(2 / STEPS)


def system_at(port: int, **config: Any) -> DualSystem:
    planner = planner_at(port)
    spec = settings(port).info.spec
    return DualSystem(
        planner,
        ChunkPlayer(interface(), spec),
        DualSystemConfig(planner_hz=8, max_action_rate=999, **config),
        interface=interface(),
    )


def play(system: DualSystem, steps: int) -> tuple[np.ndarray, list[str]]:
    """Returns the actions (steps, A) of a world, and the faults of its plans."""
    worlds = FakeWorlds(1)
    ids = np.arange(1)
    worlds.reset(ids, [0])
    system.reset(ids, worlds.observe(), [0])
    actions = []
    faults = []
    for _ in range(steps):
        action = system.act(worlds.observe())
        actions.append(action[0])
        worlds.advance(action)
        for plan in system.take_plans():
            if plan.fault is not None:
                faults += [PLAN_FAULTS[fault] for fault in plan.fault]
    return np.array(actions), faults


CHUNK = {"actions": np.zeros((STEPS, SIZE))}
# servers that are lost: what they do, or None for one that is not there
LOST: dict[str, Talk | None] = {
    "absent": None,
    "hangs": hanging,
    "says nothing at all": lambda connection: time.sleep(2 * TIMEOUT_S),
    "hangs up": lambda connection: connection.close(),
    "closes in mid-message": raw(BINARY_FRAME + GIGABYTE[:4] + b"\0\0\1\0" + b"x" * 9),
    "closes in mid-header": raw(b"\x82"),
    "speaks no WebSocket": raw(b"\xff" * 100),
}


@pytest.mark.parametrize("name", LOST)
def test_a_lost_server_is_an_outage(name: str, server: Any) -> None:
    talk = LOST[name]
    port = 9 if talk is None else server(talk)
    start_s = time.monotonic()
    actions, faults = play(system_at(port), steps=60)
    # each plan that did not come is recorded, and the robot stands still
    assert faults == ["unanswered"] * 3
    assert np.abs(actions[:, :2]).max() == 0
    assert time.monotonic() - start_s < 10 * TIMEOUT_S


BROKEN = {
    "garbage": (answering(b"\xff\xfe garbage"), "is no msgpack"),
    "a text": (answering("Traceback ...\n  File\nValueError: no such key"), "failed: Val"),
    "a gigabyte": (raw(BINARY_FRAME + GIGABYTE), "more than is read"),
    "no actions": (answering(to_bytes({"action": 1})), "actions must be an array"),
    "a list": (answering(to_bytes({"actions": [[0.0] * SIZE]})), "not a list"),
    "other sizes": (answering(to_bytes({"actions": np.zeros((3, 7))})), r"\(3, 7\)"),
    "truths": (answering(to_bytes({"actions": np.ones((STEPS, SIZE), bool)})), "bool"),
    "garbage at first": (answering(b"\xc1", first=b"\xc1"), "is no msgpack"),
    "a text at first": (answering(first="hello"), "expected a binary message"),
}  # fmt: skip


@pytest.mark.parametrize(("talk", "reason"), BROKEN.values(), ids=BROKEN)
def test_what_breaks_the_rules_is_an_error(
    talk: Talk, reason: str, server: Any
) -> None:
    port = server(talk)
    with pytest.raises(EmbodiedError, match=reason) as error:
        planner_at(port).plan(observation(), np.arange(1))
    assert f"ws://127.0.0.1:{port}" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_numbers_that_are_none_never_reach_the_robot(value: float, server: Any) -> None:
    answer = to_bytes({"actions": np.full((STEPS, SIZE), value)})
    port = server(answering(answer, to_bytes(CHUNK), to_bytes(CHUNK)))
    system = system_at(port)
    # values of the first plan are checked by an error, those of later ones by a fault
    system._is_checked = True
    actions, faults = play(system, steps=60)
    assert faults == ["not_finite"]
    assert np.isfinite(actions).all()


def test_a_server_that_comes_back_is_used_again() -> None:
    with serving(pi0_like(STEPS, SIZE)) as port:
        planner = planner_at(port)
        planner.plan(observation(), np.arange(1))
        assert not planner.unanswered.any()
    planner.plan(observation(), np.arange(1))
    assert planner.unanswered.all()

    with serving(pi0_like(STEPS, SIZE), port):
        deadline_s = time.monotonic() + 10
        while planner.unanswered.any():
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
            planner.plan(observation(), np.arange(1))


def test_attempts_become_rarer() -> None:
    patience = client.Patience()
    pauses_s = []
    for _ in range(10):
        before_s = time.monotonic()
        patience.failed(wait=False)
        pauses_s.append(round(patience._next_attempt_s - before_s, 2))
    assert pauses_s == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8.0, 8.0, 8.0]
    assert patience.is_pausing
    patience.succeeded()
    assert not patience.is_pausing


SETTINGS = {
    "no file": (None, "cannot be read"),
    "no TOML": ("address =", "cannot be read"),
    "nothing": ("", "address and actions and chunk_steps must be given"),
    "an unknown key": ("adress = 'x'", "Did you mean 'address'"),
    "another kind": ("actions = 'seven'", "actions must be a whole number"),
    "a truth": ("actions = true", "actions must be a whole number"),
    "0": ("chunk_hz = 0", "chunk_hz must be above 0"),
    "nan": ("chunk_hz = nan", "chunk_hz must be above 0"),
    "another protocol": (
        "address = 'http://x'\nactions = 7\nchunk_steps = 5",
        "must be like ws://",
    ),
    "other units": (
        "address = 'ws://x:1'\nactions = 7\nchunk_steps = 5\nunits = 'rad'",
        "unknown units",
    ),
    "a camera without a key": (
        "address = 'ws://x:1'\nactions = 7\nchunk_steps = 5\ncameras = {front = 1}",
        "the key of the camera front",
    ),
}


@pytest.mark.parametrize(("text", "reason"), SETTINGS.values(), ids=SETTINGS)
def test_mistakes_in_settings_are_told(
    text: str | None, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "server.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(EmbodiedError, match=reason) as error:
        read_settings(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "place", ["", "here", "host:", ":80", "host:99999", "host:0", "a b:80", "ws://x:80"]
)
def test_places_that_are_none_are_told(place: str) -> None:
    with pytest.raises(EmbodiedError, match="must be remote:HOST:PORT"):
        open_remote(place)


def test_a_server_that_says_nothing_of_itself_needs_a_file(server: Any) -> None:
    port = server(pi0_like(STEPS, SIZE))
    with pytest.raises(EmbodiedError, match=r"use remote:FILE\.toml"):
        _ = open_remote(f"127.0.0.1:{port}").info
