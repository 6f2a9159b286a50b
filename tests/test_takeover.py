"""When an expert takes over, when it hands back, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.core import ACTORS, PHYSICS_HZ, SKILLS
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import Episode
from embodied.errors import EmbodiedError
from embodied.policies.takeover import NO_SUBTASK, TakeoverRule, TakeoverSwitch
from embodied.policies.training.actor_weights import ActorWeights, weights_of_plans
from embodied.policies.training.batches import plan_weights
from tests.commands import FIRST_SEED, TASK, embodied, refused

HZ = 200
TICKS = PHYSICS_HZ // HZ
RULE = TakeoverRule()
REACH = SKILLS.index("reach")
GRASP = SKILLS.index("grasp")
POLICY = ACTORS.index("policy")
EXPERT = ACTORS.index("expert")
WANDERING = "tests.wandering:SOURCE"


def drivers(
    differences: Sequence[float],
    rule: TakeoverRule = RULE,
    subtasks: Sequence[int] | None = None,
) -> list[bool]:
    """Returns at which steps of one world the expert drives.

    Args:
        differences: of the two actions, at each step.
        rule: when to switch.
        subtasks: of the expert, at each step; a new one each second by default.
    """
    switch = TakeoverSwitch(1, rule, 1 / HZ)
    switch.reset(np.array([0]))
    drives = []
    for step, difference in enumerate(differences):
        subtask = step // HZ if subtasks is None else subtasks[step]
        update = switch.update(
            np.array([difference]), np.array([subtask]), np.array([step * TICKS])
        )
        drives.append(bool(update[0]))
    return drives


def test_a_policy_that_agrees_drives_to_the_end() -> None:
    assert not any(drivers([0.2] * 10 * HZ))


def test_the_expert_takes_over_when_the_difference_lasts() -> None:
    drives = drivers([1.0] * 3 * HZ)
    first_s = drives.index(True) / HZ
    # the mean of a constant 1 rises as 1 - exp(-t / mean_s)
    assert first_s == pytest.approx(-RULE.mean_s * np.log(1 - RULE.stray), abs=0.02)
    assert all(drives[drives.index(True) :])

    # as long as a gripper takes to close, and calm again
    brief = [*[1.0] * (HZ // 2), *[0.0] * HZ]
    assert not any(drivers(brief * 5))


def test_the_expert_hands_back_when_the_policy_is_on_course() -> None:
    drives = drivers([*[1.0] * 2 * HZ, *[0.1] * 4 * HZ])
    begin = drives.index(True)
    end = begin + drives[begin:].index(False)
    assert end / HZ > 2
    assert (end - begin) / HZ >= RULE.least_s
    assert not any(drives[end:])


def test_a_stall_lasts_until_the_expert_is_one_subtask_further() -> None:
    stall = int((RULE.stall_s + 1) * HZ)
    subtasks = [*[REACH] * (stall + 4 * HZ), *[GRASP] * 2 * HZ]
    drives = drivers([0.1] * len(subtasks), subtasks=subtasks)
    assert drives.index(True) / HZ == pytest.approx(RULE.stall_s, abs=0.02)
    assert all(drives[stall : stall + 4 * HZ])
    assert not any(drives[stall + 4 * HZ + 1 :])


def test_an_action_that_is_no_number_is_never_taken() -> None:
    drives = drivers([0.0] * 10 + [np.nan] + [0.0] * 10)
    assert drives[9:12] == [False, True, True]


def test_a_schedule_goes_by_the_clock_alone() -> None:
    drives = drivers([1.0] * 3 * HZ, TakeoverRule(after_s=2))
    assert drives == [*[False] * 2 * HZ, *[True] * HZ]


@settings(max_examples=10)
@given(st.lists(st.floats(0, 2), min_size=2, max_size=2), st.integers(0, 3))
def test_what_happens_in_a_world_does_not_depend_on_others(
    levels: list[float], seed: int
) -> None:
    noise = np.random.default_rng(seed).uniform(-0.2, 0.2, (3 * HZ, 2))
    differences = np.abs(np.array(levels) + noise)
    switch = TakeoverSwitch(2, RULE, 1 / HZ)
    both = [
        switch.update(row, np.full(2, NO_SUBTASK), np.full(2, step * TICKS))
        for step, row in enumerate(differences)
    ]
    subtasks = [NO_SUBTASK] * len(differences)
    for world in range(2):
        alone = drivers(differences[:, world].tolist(), subtasks=subtasks)
        assert [bool(row[world]) for row in both] == alone


@pytest.mark.parametrize(
    "wrong",
    [
        {"stray": 0.0},
        {"stray": 1.5},
        {"back": 0.9},
        {"stall_s": 0.0},
        {"mean_s": float("inf")},
        {"least_s": float("nan")},
        {"after_s": -1.0},
    ],
)
def test_numbers_out_of_range_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(EmbodiedError, match="must be|at most|at least"):
        TakeoverRule(**wrong)


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An episode in which the expert takes over from a policy that wanders."""
    path = tmp_path_factory.mktemp("corrected") / "corrected.hdf5"
    assert collect(path, "--episodes", 1) == 0
    return path


def collect(path: Path, *words: object) -> int:
    fixed = ["collect", TASK, "-o", path, "--level", "L1", "--seed", FIRST_SEED]
    fixed += ["--workers", 1, "--no-cameras"]
    fixed += ["--policy", WANDERING, "--correct", "expert"]
    return embodied(*fixed, *words)


def episodes(path: Path) -> list[Episode]:
    with Dataset(path) as dataset:
        return [dataset.episode(number) for number in range(len(dataset))]


def test_a_file_says_who_wanted_and_who_acted(corrected: Path) -> None:
    with Dataset(corrected) as dataset:
        assert dataset.header.policy == f"{WANDERING}, corrected by expert"
        assert dataset.header.correction is not None
        assert dataset.header.correction["by"] == "expert"
        assert dataset.header.correction["stray"] == RULE.stray

    for episode in episodes(corrected):
        assert episode.meta.success
        executed_by = episode.streams["executed_by"].value
        assert set(np.unique(executed_by)) == {POLICY, EXPERT}
        assert executed_by[0] == POLICY
        assert (episode.streams["intended_by"].value == EXPERT).all()
        assert episode.meta.takeovers == np.count_nonzero(
            (executed_by[1:] == EXPERT) & (executed_by[:-1] == POLICY)
        )
        seconds = np.count_nonzero(executed_by == EXPERT) / HZ
        assert episode.meta.takeover_s == pytest.approx(seconds)

        # what is done is what the expert wants once it drives, after a short ramp
        difference = np.abs(
            episode.streams["action"].value - episode.streams["intended"].value
        ).max(axis=1)
        drives = executed_by == EXPERT
        settled = drives & np.roll(drives, HZ // 5)
        assert difference[settled].max() < 1e-6
        assert difference[~drives].mean() > 0.3

        # the plans are the expert's, from the first moment on
        assert episode.plans["tick_frame"][0] == 0
        assert len(episode.plans["seq"]) >= 8 * (episode.meta.duration_s - 1)


def test_a_corrected_episode_replays_bit_for_bit(corrected: Path) -> None:
    assert embodied("data", "replay", corrected, "--verify") == 0


@pytest.mark.slow
def test_corrections_do_not_depend_on_the_number_of_worlds(tmp_path: Path) -> None:
    contents = set()
    for num_envs in (1, 3):
        path = tmp_path / "corrected.hdf5"
        words = ("--episodes", 3, "--num-envs", num_envs, "--overwrite")
        assert collect(path, *words) == 0
        contents.add(path.read_bytes())
    assert len(contents) == 1


def test_weights_tell_takeovers_from_what_the_policy_drove(corrected: Path) -> None:
    streams = episodes(corrected)[0].streams
    executed_by = streams["executed_by"].value
    intended_by = streams["intended_by"].value
    weights = ActorWeights(takeover=3, shadow=0.5)

    step = np.arange(0, len(executed_by), 25)
    is_driven = executed_by[step] == POLICY
    weight = weights_of_plans(executed_by, intended_by, step, weights)
    assert (weight == np.where(is_driven, 0.5, 3)).all()

    # a policy never learns from what it wanted itself, as where a person corrects it
    weight = weights_of_plans(executed_by, executed_by, step, weights)
    assert (weight == np.where(is_driven, 0, 3)).all()


def test_plans_are_sampled_by_their_weights() -> None:
    subtask = torch.tensor([REACH] * 4 + [GRASP] * 2)
    weight = torch.tensor([1.0, 1.0, 2.0, 0.0, 1.0, 1.0])
    frequency = plan_weights(subtask, weight)
    # within a skill by the weights; skills as often as before
    assert frequency[:4].tolist() == pytest.approx([0.75, 0.75, 1.5, 0])
    assert float(frequency[:4].sum()) == pytest.approx(float(frequency[4:].sum()))
    with pytest.raises(EmbodiedError, match="no plan is left"):
        plan_weights(subtask, torch.zeros(6))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--stray", 0.5], "--stray: only with --correct"),
        (["--correct", "expert"], "nothing to correct in itself"),
        (
            ["--policy", WANDERING, "--correct", "expert", "--noise", 0.1],
            "--noise: not with --correct",
        ),
        (
            ["--policy", "random", "--correct", "expert"],
            "it can only correct a policy that acts as it does",
        ),
        (
            [
                *["--policy", WANDERING, "--correct", "expert"],
                *["--stray", 0.5, "--takeover-after-s", 2],
            ],
            "--stray: no effect with --takeover-after-s",
        ),
        (
            ["--policy", WANDERING, "--correct", "expert", "--stray", 2],
            "must be above 0 and at most 1, not 2",
        ),
    ],
)
def test_flags_that_do_not_go_together_are_refused(
    words: list[object],
    reason: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "x.hdf5"
    assert reason in refused(capsys, "collect", TASK, "-o", path, *words)
    assert not list(tmp_path.iterdir())
