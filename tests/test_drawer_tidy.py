"""What DrawerTidy says and does: names, events, what counts as tidied, and how its
expert mends what happens.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from embodied.core import SKILLS
from embodied.envs.props.drawer import DRAWERS, Drawers
from embodied.envs.props.things import SIZES, THINGS, Things
from embodied.envs.scoring import StepResult
from embodied.envs.tasks.drawer_tidy.episode import THING_NAMES, pose_of, sample_episode
from embodied.envs.tasks.drawer_tidy.facts import CLOSED_M, OPEN_M
from embodied.envs.tasks.drawer_tidy.scene import DRAWERS_SIZE
from embodied.envs.tasks.drawer_tidy.variation import TABLE
from embodied.envs.variation import Variation
from embodied.envs.worlds import Worlds
from embodied.policies.registry import find_policy
from embodied.rollout.rollout import rollout
from tests.ground import expert_worlds, idle_action, started_worlds

SHUT = (0.0, 0.0, 0.0)
TWO = {"named": 2, "things": 3}


def tidy_worlds(num: int = 1, first_seed: int = 0, **settings: object) -> Worlds:
    return started_worlds(num, first_seed, task="DrawerTidy", **settings)


def part(worlds: Worlds, name: str) -> np.ndarray:
    return worlds.task.state()[:, worlds.state_layout.slices()[name]]


def set_openings(worlds: Worlds, openings_m: tuple[float, ...]) -> None:
    """Of world 0, whose things in drawers must be put there afterwards."""
    Drawers(worlds.engine, DRAWERS_SIZE).set(0, np.array(openings_m), 4.0)
    worlds.engine.refresh(np.array([0]))


def put_into(worlds: Worlds, drawer: int, thing: int, aside_m: float = 0.05) -> None:
    """Sets a thing of world 0 onto the floor of one of its drawers."""
    n = worlds.num_worlds
    frame = Drawers(worlds.engine, DRAWERS_SIZE).frame_w(np.full(n, drawer))[0]
    half_z = SIZES[THINGS[THING_NAMES[thing]]].z / 2
    Things(worlds.engine, THING_NAMES).place(
        0, thing, frame + np.array([0.09, aside_m, half_z + 0.001]), 0.0
    )
    worlds.engine.refresh(np.array([0]))


def wait(worlds: Worlds, steps: int = 15) -> StepResult:
    for _ in range(steps - 1):
        worlds.step(idle_action(worlds))
    return worlds.step(idle_action(worlds))


def with_two_named() -> tuple[Worlds, int, list[int], int]:
    """A world at L1, its named drawer and things, and a thing that is not named."""
    worlds = tidy_worlds(level="L1", factors=TWO)
    sampled = worlds.variation_of(0)
    (other,) = set(sampled["row"]) - set(sampled["targets"])
    return worlds, sampled["drawer"], sampled["targets"], other


def test_instructions_are_unambiguous_and_name_what_is_there() -> None:
    variation = Variation(TABLE, "L3", "train")
    for seed in range(300):
        sampled = sample_episode(seed, variation)
        text = sampled["instruction"]
        names = [
            f"{sampled['colours'][k]} {THINGS[THING_NAMES[k]]}"
            for k in range(len(THING_NAMES))
        ]

        # No two things or handles can be confused.
        present = [names[k] for k in sampled["row"]]
        assert len(set(present)) == len(present)
        assert len(set(sampled["handles"])) == len(DRAWERS)

        # The text names the targets and nothing else.
        assert [name for name in present if name in text] == [
            names[k] for k in sampled["row"] if k in sampled["targets"]
        ]
        assert len(set(sampled["targets"])) == sampled["named"]

        # It names the drawer in one of two ways.
        by_place = f"the {DRAWERS[sampled['drawer']]} drawer"
        by_handle = f"{sampled['handles'][sampled['drawer']]} handle"
        assert (by_place in text) == (sampled["named_by"] == "place")
        assert (by_handle in text) == (sampled["named_by"] == "handle")


@pytest.mark.parametrize("split", ["train", "all"])
def test_things_stand_apart_and_within_reach(split: str) -> None:
    variation = Variation(TABLE, "L3", split)
    for seed in range(200):
        sampled = sample_episode(seed, variation)
        at = np.array([pose_of(sampled, k)[0][:2] for k in sampled["row"]])
        gaps = np.linalg.norm(at[:, None] - at[None], axis=-1) + np.eye(len(at))
        assert gaps.min() > 0.095
        assert np.linalg.norm(at, axis=1).max() < 0.75
        assert at[:, 1].min() > 0.44 + 0.03


def test_named_things_in_the_named_drawer_are_a_success_once_it_is_shut() -> None:
    worlds, drawer, targets, _ = with_two_named()

    # All is in its place, but the drawer is open.
    set_openings(worlds, tuple(0.2 * (k == drawer) for k in range(3)))
    for k, thing in enumerate(targets):
        put_into(worlds, drawer, thing, 0.05 - 0.1 * k)
    open_still = wait(worlds)
    assert not open_still.success[0]
    assert 0.75 < open_still.progress[0] < 0.9

    # Shut, with the things moved back along with their drawer.
    set_openings(worlds, SHUT)
    for k, thing in enumerate(targets):
        put_into(worlds, drawer, thing, 0.05 - 0.1 * k)
    result = wait(worlds)
    assert result.success[0]
    assert result.progress[0] == 1


@pytest.mark.parametrize(
    "wrong",
    ["one thing", "another drawer", "one thing too many", "another drawer left open"],
)
def test_what_is_not_as_it_was_asked_for_is_no_success(wrong: str) -> None:
    worlds, drawer, targets, other = with_two_named()
    elsewhere = (drawer + 1) % 3

    # Each case does all but one thing as it was asked.
    set_openings(
        worlds,
        tuple(
            2 * CLOSED_M * (k == elsewhere and wrong == "another drawer left open")
            for k in range(3)
        ),
    )
    put_into(worlds, elsewhere if wrong == "another drawer" else drawer, targets[0])
    if wrong != "one thing":
        put_into(worlds, drawer, targets[1], -0.05)
    if wrong == "one thing too many":
        put_into(worlds, drawer, other, 0.0)

    now = worlds.task.judge()
    assert not now.success[0]
    assert now.progress[0] < 1


def test_a_named_thing_on_the_floor_loses_and_any_that_fell_are_counted() -> None:
    for named in (True, False):
        worlds = tidy_worlds(2, level="L1")
        sampled = worlds.variation_of(1)
        thing = next(k for k in sampled["row"] if (k in sampled["targets"]) == named)
        Things(worlds.engine, THING_NAMES).place(
            1, thing, np.array([0.3, -0.8, 0.1]), 0.0
        )
        worlds.engine.refresh(np.arange(2))
        result = wait(worlds, 5)
        assert result.dropped.tolist() == [0, 1]
        assert result.terminated.tolist() == [False, named]


def test_progress_rises_along_the_way() -> None:
    worlds, drawer, targets, _ = with_two_named()
    progress = [worlds.task.judge().progress[0]]
    for opening in (0.08, OPEN_M):
        set_openings(worlds, tuple(opening * (k == drawer) for k in range(3)))
        progress.append(worlds.task.judge().progress[0])
    for k, thing in enumerate(targets):
        put_into(worlds, drawer, thing, 0.05 - 0.1 * k)
        progress.append(worlds.task.judge().progress[0])
    assert (np.diff(progress) > 0.05).all()
    assert progress[-1] < 1


def test_at_l4_one_thing_happens_in_each_episode_and_below_nothing() -> None:
    shoved = []
    shut = []
    for seed in range(200):
        sampled = sample_episode(seed, Variation(TABLE, "L4", "train"))
        shoved.append(np.hypot(*sampled["shove_n"]) > 0)
        shut.append(sampled["shut_n"] > 0)
        calm = sample_episode(seed, Variation(TABLE, "L3", "train"))
        assert (calm["shove_n"], calm["shut_n"]) == ([0.0, 0.0], 0.0)
        assert sampled["shove_n"][1] >= 0  # not over the counter's edge
    assert (np.array(shoved) ^ np.array(shut)).all()
    assert 60 < sum(shoved) < 140


@pytest.mark.slow
def test_a_shove_moves_the_named_thing_and_leaves_it_on_the_counter() -> None:
    worlds = tidy_worlds(16, level="L4")
    sampled = [worlds.variation_of(world) for world in range(16)]
    before = part(worlds, "target_pos_w")[:, :3].copy()
    wait(worlds, 20 * 5)
    after = part(worlds, "target_pos_w")[:, :3]
    moved = np.hypot(*(after - before)[:, :2].T)
    shoved = np.array([np.hypot(*row["shove_n"]) > 0 for row in sampled])
    assert 2 < shoved.sum() < 14
    assert (moved[shoved] > 0.02).all()
    assert (moved[~shoved] < 0.001).all()
    assert (after[:, 2] > DRAWERS_SIZE.top_z).all()


def test_a_drawer_is_pushed_shut_only_after_it_was_opened() -> None:
    worlds = tidy_worlds(8, level="L4")
    goal = worlds.task.memory()
    shut = np.array([worlds.variation_of(world)["shut_n"] > 0 for world in range(8)])

    # No push comes while all drawers are shut.
    wait(worlds, 20)
    assert (goal["shut_tick"] == -1).all()

    rows = np.arange(8)
    named = goal["drawer"]
    qpos = np.array(
        [worlds.model.joint(f"drawer_{name}").qposadr[0] for name in DRAWERS]
    )[named]

    # Open the named drawer in every world, by hand, and wait 7 s.
    worlds.engine.view("qpos")[rows, qpos] = 0.2
    worlds.engine.refresh(rows)
    wait(worlds, 20 * 7)

    # Some worlds have the push among their samples, and only in these has the drawer
    # moved back.
    opening = part(worlds, "opening")[:, 0]
    assert 1 < shut.sum() < 8
    assert (opening[shut] < 0.175).all()
    np.testing.assert_allclose(opening[~shut], 0.2, atol=2e-3)


@pytest.mark.parametrize(
    "robot", ["arm", pytest.param("wheeled_arm", marks=pytest.mark.slow)]
)
@pytest.mark.slow
def test_the_expert_tidies_up_whatever_happens(robot: str) -> None:
    # A level with all surprises; one failure in eight is let pass.
    worlds = expert_worlds(8, task="DrawerTidy", robot=robot, level="L4")

    results = rollout(worlds, find_policy("expert").make(worlds), range(8))
    assert sum(result.success_once for result in results) >= 7


def test_the_expert_opens_a_drawer_again_that_is_shut_under_its_hand() -> None:
    """It sets what it holds back onto the counter first: nothing is in the way of its
    hand then.
    """
    worlds = tidy_worlds(level="L1", control_mode="ee_delta")
    planner, controller = worlds.spec.expert(
        worlds.agent_layout, worlds.state_layout, worlds.robot
    )
    row = np.arange(1)
    skills = []
    pushed = False

    # Shut all drawers by hand as soon as the first thing is on its way.
    for _ in range(45 * 20):
        observation = worlds.observe()
        plan = planner.plan(observation, row)
        skills.append(SKILLS[int(plan.subtask[0])])
        if skills[-1] == "carry" and not pushed:
            set_openings(worlds, SHUT)
            pushed = True
        if worlds.step(controller.act(observation, plan, np.zeros(1))).success[0]:
            break

    assert pushed
    changes = [skill for skill, _ in itertools.groupby(skills)]
    # It lets go, opens the drawer once more, and only then goes on.
    after = changes[changes.index("carry") :]
    assert [skill for skill in after if skill in ("release", "open", "push")][:4] == [
        "release",
        "open",
        "release",
        "release",
    ]
    assert after.count("open") == 1
    assert worlds.task.judge().success[0]
