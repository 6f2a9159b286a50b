"""A person who looks on while a policy drives, and takes over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embodied.core import ACTORS
from embodied.datasets.reader import Dataset
from embodied.policies.training.actor_weights import ActorWeights, weights_of_plans
from tests.commands import TASK, embodied, refused

POLICY = ACTORS.index("policy")
PERSON = ACTORS.index("person")
WANDERING = "tests.wandering:SOURCE"
LOOKS_ON = 50  # steps
DRIVES = 70


def teleop(path: Path, lines: list[dict[str, Any]], *words: object) -> int:
    script = path.with_suffix(".jsonl")
    script.write_text("\n".join(map(json.dumps, lines)))
    fixed = ["teleop", TASK, "-o", path, "--device", f"script:{script}", "--headless"]
    fixed += ["--no-cameras", "--horizon-s", 1, "--operator", "Ada"]
    return embodied(*fixed, *words)


def test_who_drives_is_recorded_at_each_step(tmp_path: Path) -> None:
    path = tmp_path / "shared.hdf5"
    lines: list[dict[str, Any]] = [
        {"steps": LOOKS_ON},
        {"move": [0.0, 0.0, 0.5], "steps": DRIVES - 10},
        {"steps": 10},  # who takes over and rests still drives
        {"events": ["take_over"]},
        {"steps": 200 - LOOKS_ON - DRIVES - 1},
        {"events": ["mark"]},
    ]
    assert teleop(path, lines, "--policy", WANDERING) == 0
    with Dataset(path) as dataset:
        assert dataset.header.policy == f"{WANDERING}, corrected by person"
        assert dataset.header.correction == {"by": "person"}
        [meta] = dataset.episodes
        episode = dataset.episode(0)

    drivers = [POLICY] * LOOKS_ON + [PERSON] * DRIVES
    drivers += [POLICY] * (200 - len(drivers))
    assert episode.streams["executed_by"].value.tolist() == drivers
    assert episode.streams["intended_by"].value.tolist() == drivers
    assert (meta.takeovers, meta.marked) == (1, True)
    assert meta.takeover_s == pytest.approx(DRIVES / 200)
    action = episode.streams["action"].value
    assert np.array_equal(action, episode.streams["intended"].value)

    # the person moves the hand up, once the action has come from the policy's
    settled = slice(LOOKS_ON + 30, LOOKS_ON + DRIVES - 10)
    assert (action[settled, 2] > 0.1).all()
    assert np.abs(action[settled, :2]).max() < 1e-6

    # a policy learns from the person alone
    step = np.arange(0, 200, 25)
    weight = weights_of_plans(
        episode.streams["executed_by"].value,
        episode.streams["intended_by"].value,
        step,
        weights=ActorWeights(takeover=2, shadow=1),
    )
    assert weight.tolist() == [2 * (drivers[k] == PERSON) for k in step]
    assert embodied("data", "replay", path, "--verify") == 0


def test_a_person_keeps_what_the_policy_holds(tmp_path: Path) -> None:
    path = tmp_path / "held.hdf5"
    lines: list[dict[str, Any]] = [
        {"steps": LOOKS_ON},
        {"move": [0.0, 0.0, 0.1], "steps": 200 - LOOKS_ON},
        {"events": ["keep"]},
    ]
    assert teleop(path, lines, "--policy", WANDERING) == 0
    with Dataset(path) as dataset:
        grip = dataset.episode(0).streams["action"].value[:, -1]
    before = grip[LOOKS_ON - 1]
    assert (grip[LOOKS_ON:] == (1 if before > 0 else -1)).all()


def test_a_policy_that_acts_otherwise_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("teleop", TASK, "-o", tmp_path / "x.hdf5", "--headless")
    error = refused(capsys, *words, "--device", "script:x", "--policy", "random")
    assert "the person acts in control mode 'ee_delta' at 200 Hz, but random" in error
