"""Subtasks in words: late like all plans, and recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embodied.core import PHYSICS_HZ, Array, Observation, PolicySpec
from embodied.datasets.reader import Dataset
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.plan import Payload, PlanShape, encoded_texts
from embodied.policies import policy_from_planner
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.plans import check_payload
from tests.commands import TASK, embodied
from tests.dual_fakes import FakeController, FakeWorlds, delays

SHAPE = PlanShape(effectors=0, text_bytes=32)
SPEC = PolicySpec(control_mode="joint_delta", control_hz=200)


class TalkingPlanner:
    """Says how many ticks the episode has lasted."""

    plan_shape = SHAPE

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        payload = Payload.empty(len(ids), SHAPE)
        texts = [f"wähle {tick}" for tick in np.asarray(observation.tick)]
        payload.text[:] = encoded_texts(texts, SHAPE.text_bytes)
        return payload


class ListeningController:
    """Moves its first joint one way after an even number, and the other way otherwise."""

    takes = ("text",)
    sees_frames = False

    def __init__(self, worlds: Worlds) -> None:
        self.spec = SPEC
        self._shape = (worlds.num_worlds, len(worlds.interface.low))

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing."""

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        actions = np.zeros(self._shape)
        for action, text in zip(actions, payload.texts, strict=True):
            _, _, number = text.partition(" ")
            if number:
                action[0] = 0.5 if int(number) // 20 % 2 else -0.5
        return actions


TALKING = policy_from_planner(
    lambda worlds: TalkingPlanner(), SPEC, make_controller=ListeningController
)


@given(st.lists(st.text(max_size=8), min_size=1, max_size=4))
def test_texts_come_back_as_they_were(texts: list[str]) -> None:
    shape = PlanShape(text_bytes=32)
    payload = Payload.empty(len(texts), shape)
    if any("\0" in text for text in texts):
        with pytest.raises(EmbodiedError, match="contains a zero character"):
            encoded_texts(texts, 32)
        return
    payload.text[:] = encoded_texts(texts, 32)
    check_payload(payload, len(texts), shape)
    assert payload.texts == tuple(texts)


def test_wrong_texts_are_refused_by_name() -> None:
    with pytest.raises(
        EmbodiedError, match="'take it' has 7 bytes, which exceeds the 5"
    ):
        encoded_texts(["take it"], 5)

    payload = Payload.empty(1, SHAPE)
    with pytest.raises(EmbodiedError, match="set text_bytes there"):
        check_payload(payload, 1, PlanShape(effectors=0))
    payload.text[0, :2] = 0xFF
    with pytest.raises(EmbodiedError, match="text of a plan must be UTF-8"):
        check_payload(payload, 1, SHAPE)

    numbers = Payload.empty(1, SHAPE)
    object.__setattr__(numbers, "text", numbers.text.astype(float))
    with pytest.raises(
        EmbodiedError, match="text of a plan must be uint8, not float64"
    ):
        check_payload(numbers, 1, SHAPE)


@pytest.mark.parametrize("delay_ms", [0, 250])
def test_the_controller_hears_late_what_was_said_earlier(delay_ms: float) -> None:
    fake = FakeController()
    fake.act = lambda *given: heard.append(given) or np.zeros((1, 3))  # type: ignore[method-assign]
    heard: list[tuple[Observation, Payload, Array]] = []
    config = DualSystemConfig(latency=delays(down_ms=delay_ms))
    system = DualSystem(TalkingPlanner(), fake, config)
    worlds = FakeWorlds(1)
    system.reset(np.arange(1), worlds.observe(), [0])
    for _ in range(200):
        worlds.advance(system.act(worlds.observe()))

    for observation, payload, age_s in heard:
        [text] = payload.texts
        if text:
            said_s = int(text.removeprefix("wähle ")) / PHYSICS_HZ
            assert observation.tick[0] / PHYSICS_HZ - said_s == pytest.approx(age_s[0])
            assert age_s[0] >= delay_ms / 1000
    assert heard[-1][1].texts != ("",)


@pytest.mark.slow
def test_texts_are_recorded(tmp_path: Path) -> None:
    file = tmp_path / "talk.hdf5"
    words = ["collect", TASK, "-o", file, "--policy", "tests.test_dual_text:TALKING"]
    words += ["--level", "L1", "--episodes", 1, "--no-cameras"]
    assert embodied(*words, "--workers", 1) == 0

    with Dataset(file) as dataset:
        frames = dataset.read(0, "plans/tick_frame")
        rows = dataset.read(0, "plans/text")
    texts = [bytes(row).rstrip(b"\0").decode() for row in rows]
    assert texts == [f"wähle {tick}" for tick in frames.tolist()]
    assert embodied("data", "replay", file, "--verify") == 0
    assert embodied("data", "audit", file) == 0
