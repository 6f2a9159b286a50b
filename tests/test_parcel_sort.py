"""What ParcelSort says and does: names, reading, bins, losses, events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from embodied.core import SKILLS
from embodied.envs.config import EnvConfig
from embodied.envs.tasks.parcel_sort.episode import LEAST_GAP_M, sample_episode
from embodied.envs.tasks.parcel_sort.expert import (
    SLIM_WRIST_ROUTE,
    WIDE_WRIST_ROUTE,
    Route,
    decide,
)
from embodied.envs.tasks.parcel_sort.facts import PASSED_Y_W
from embodied.envs.tasks.parcel_sort.scene import BELT, BIN, PARCELS, SCANNER
from embodied.envs.tasks.parcel_sort.task import ParcelSort
from embodied.envs.tasks.parcel_sort.throughput import parcels_per_hour
from embodied.envs.tasks.parcel_sort.variation import COLOURS, TABLE, TRAIN_SENTENCES
from embodied.envs.variation import LEVELS, SPLITS, Variation
from embodied.envs.worlds import Worlds
from embodied.policies.episodes import env_config_for
from embodied.policies.registry import find_policy
from embodied.rollout.rollout import rollout
from tests.ground import idle_action, started_worlds

LEVEL = (1.0, 0.0, 0.0, 0.0)
# the parcel's x, with a label on an end, points up
ON_END = (np.sqrt(0.5), 0.0, -np.sqrt(0.5), 0.0)


def sort_worlds(num: int = 1, **factors: object) -> Worlds:
    """Nominal worlds with two parcels on a belt at rest."""
    return started_worlds(num, task="ParcelSort", level="L1", factors=factors)


def put(
    worlds: Worlds,
    parcel: int,
    pos_w: np.ndarray,
    quat: tuple[float, ...] = LEVEL,
    world: int = 0,
) -> None:
    """A parcel's middle at `pos_w`, at rest."""
    joint = worlds.model.joint(PARCELS[parcel])
    worlds.engine.view("qpos")[world, joint.qposadr[0] : joint.qposadr[0] + 7] = [
        *pos_w,
        *quat,
    ]
    worlds.engine.view("qvel")[world, joint.dofadr[0] : joint.dofadr[0] + 6] = 0
    worlds.engine.refresh(np.arange(worlds.num_worlds))


def run(worlds: Worlds, seconds: float) -> None:
    for _ in range(round(seconds * worlds.config.control_hz)):
        worlds.step(idle_action(worlds))


def on_plate(worlds: Worlds, half_height: float = 0.025) -> np.ndarray:
    xy = worlds.task.state()[0, worlds.state_layout.slices()["scanner_xy_w"]]
    return np.array([*xy, SCANNER.top_z + half_height + 0.0005])


def in_bin(worlds: Worlds, parcel: int) -> np.ndarray:
    """The middle of the parcel when it lies in its own bin."""
    xy = worlds.task.state()[
        0, worlds.state_layout.slices()["parcel_bin_xy_w"]
    ].reshape(-1, 2)[parcel]
    return np.array([*xy, BIN.floor_z + 0.03])


def parameter(worlds: Worlds, name: str) -> np.ndarray:
    return worlds.task.memory()[name][0]


def wanted_of(worlds: Worlds) -> int:
    return int(np.flatnonzero(parameter(worlds, "wanted"))[0])


@pytest.mark.parametrize("split", ["train", "instruction", "objects"])
def test_the_sentence_tells_which_parcels_are_wanted(split: str) -> None:
    """Whoever sees the parcels' colours and reads the sentence knows what to do, and
    needs both.
    """
    variation = Variation(TABLE, "L3", split)

    partly = 0
    for seed in range(80):
        sampled = sample_episode(seed, variation, 0.0)
        mentioned = [
            colour
            for colour in COLOURS
            if f" {colour}" in sampled["instruction"].replace(",", " ")
        ]
        names_wanted = "{named}" in sampled["sentence"]
        names_others = "{others}" in sampled["sentence"]

        for k, wanted in zip(sampled["parcel_bin"], sampled["wanted"], strict=True):
            name = sampled["colour"][k]
            if names_others and names_wanted:
                # Both lists are there; the first is that of the wanted ones.
                assert name in mentioned
            else:
                expected = (name in mentioned) != names_others
                assert wanted == expected, sampled["instruction"]

        assert any(sampled["wanted"])
        assert len(set(sampled["colour"])) == 3
        partly += not all(sampled["wanted"])

    # Not all parcels are wanted in many of the episodes, all of them in the others.
    assert 20 < partly < 70


def test_all_forms_of_the_sentence_are_sampled() -> None:
    variation = Variation(TABLE, "L2", "train")
    assert {
        sample_episode(seed, variation, 0.0)["sentence"] for seed in range(80)
    } == set(TRAIN_SENTENCES)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("later_s", [0.0, 3.0])
def test_parcels_begin_on_the_belt_and_come_one_after_the_other(
    level: str, later_s: float
) -> None:
    for split in SPLITS:
        variation = Variation(TABLE, level, split)
        for seed in range(25):
            sampled = sample_episode(seed, variation, later_s)
            # The gaps hold at the belt's faster speed, before or after its change.
            fastest = max(sampled["belt_speed"], sampled["belt_speed_after"])

            gaps = -np.diff(sampled["y"])
            assert (gaps >= LEAST_GAP_M - 1e-9).all()
            assert (gaps >= fastest * np.array(sampled["gap_s"][1:]) - 1e-9).all()

            assert min(sampled["y"]) > BELT.y_start + 0.07
            assert max(sampled["y"]) < 0.3


def test_a_label_on_top_is_read_once_the_parcel_has_lain_still() -> None:
    worlds = sort_worlds()
    parcel = wanted_of(worlds)
    lamp = worlds.model.geom("scanner_lamp").id

    put(worlds, parcel, on_plate(worlds))
    # It has to lie still for a while before the lamp lights up.
    run(worlds, 0.1)
    assert parameter(worlds, "scanned")[parcel] == 0
    dark = worlds.engine.model_view("geom_rgba")[0, lamp].copy()

    run(worlds, 0.3)
    assert parameter(worlds, "scanned")[parcel] == 1
    assert parameter(worlds, "scanned").sum() == 1
    green = worlds.engine.model_view("geom_rgba")[0, lamp].copy()
    assert green[1] > 0.8
    assert dark[1] < 0.2

    # What was read stays read, and the lamp goes out.
    put(worlds, parcel, in_bin(worlds, parcel))
    run(worlds, 0.2)
    assert parameter(worlds, "scanned")[parcel] == 1
    assert (worlds.engine.model_view("geom_rgba")[0, lamp] == dark).all()


def test_a_label_on_an_end_is_read_only_when_the_parcel_stands_on_the_other() -> None:
    worlds = sort_worlds(label="end")
    parcel = wanted_of(worlds)
    put(worlds, parcel, on_plate(worlds))
    run(worlds, 0.6)
    assert parameter(worlds, "scanned")[parcel] == 0
    put(worlds, parcel, on_plate(worlds, half_height=0.05), ON_END)
    run(worlds, 0.6)
    assert parameter(worlds, "scanned")[parcel] == 1


def test_what_moves_or_lies_elsewhere_is_not_read() -> None:
    worlds = sort_worlds()
    parcel = wanted_of(worlds)
    for _ in range(12):  # again and again in the air
        put(worlds, parcel, on_plate(worlds, half_height=0.045))
        run(worlds, 0.05)
    assert parameter(worlds, "scanned")[parcel] == 0
    put(worlds, parcel, np.array([BELT.x, 0.0, BELT.top_z + 0.026]))
    run(worlds, 0.6)
    assert parameter(worlds, "scanned")[parcel] == 0


@pytest.mark.parametrize(("below_m", "hidden"), [(0.05, True), (0.09, False)])
def test_a_hand_near_the_label_hides_it(below_m: float, hidden: bool) -> None:
    worlds = sort_worlds()
    parcel = wanted_of(worlds)
    task = worlds.task
    assert isinstance(task, ParcelSort)

    # Put the scanner under the hand, and the label at a given height below it.
    tcp_w = worlds.engine.view("site_xpos")[0, worlds.model.site("tcp").id]
    label = tcp_w - [0, 0, below_m]
    scanner = worlds.model.body("scanner").id
    worlds.engine.model_view("body_pos")[0, scanner] = label - [0, 0, 0.05]
    put(worlds, parcel, label - [0, 0, 0.0245])

    assert task._facts().is_readable[0, parcel] == (not hidden)


def test_right_is_read_in_the_bin_of_its_colour_and_let_go() -> None:
    worlds = sort_worlds()
    wanted = np.flatnonzero(parameter(worlds, "wanted"))
    for parcel in wanted.tolist():
        put(worlds, parcel, in_bin(worlds, parcel))
    run(worlds, 0.3)
    # All lie in their bins, but nothing was read.
    assert not worlds.task.judge().success[0]

    worlds.task.memory()["scanned"][0] = 1
    outcome = worlds.task.judge()
    assert outcome.success[0]
    assert outcome.progress[0] == 1

    # Now one lies in the wrong bin.
    first = int(wanted[0])
    another_bin = (parameter(worlds, "bin")[first] + 1) % 3
    worlds.task.memory()["bin"][0, first] = another_bin
    outcome = worlds.task.judge()
    assert not outcome.success[0]
    assert outcome.progress[0] < 1


def test_parcels_of_other_colours_are_to_stay_on_the_belt() -> None:
    # One of the two is made a wanted one.
    worlds = sort_worlds(named=(0,), parcel_bin=1)
    wanted = wanted_of(worlds)
    other = 1 - wanted
    assert parameter(worlds, "wanted").sum() == 1

    put(worlds, wanted, in_bin(worlds, wanted))
    worlds.task.memory()["scanned"][0, wanted] = 1
    run(worlds, 0.3)
    assert worlds.task.judge().success[0]

    # As many wrong as right.
    put(worlds, other, in_bin(worlds, other))
    worlds.task.memory()["scanned"][0] = 1
    outcome = worlds.task.judge()
    assert not outcome.success[0]
    assert outcome.progress[0] == 0


@pytest.mark.parametrize("fallen", [False, True])
def test_lost_is_a_parcel_on_the_floor_or_past_the_arm(fallen: bool) -> None:
    worlds = sort_worlds()
    parcel = wanted_of(worlds)
    assert not worlds.task.judge().lost[0]

    on_floor = np.array([0.9, -0.6, 0.03])
    past_arm = np.array([BELT.x, PASSED_Y_W + 0.01, BELT.top_z + 0.026])
    put(worlds, parcel, on_floor if fallen else past_arm)
    outcome = worlds.task.judge()
    assert outcome.lost[0]
    assert outcome.dropped[0] == int(fallen)

    # Parcels that are not wanted may ride to the belt's end.
    worlds.task.memory()["wanted"][0, parcel] = 0
    assert worlds.task.judge().lost[0] == fallen


@pytest.mark.slow
def test_at_l4_the_belt_changes_its_speed_or_a_wanted_parcel_is_pushed() -> None:
    num = 24
    worlds = Worlds(EnvConfig("ParcelSort", level="L4", num_threads=1), num)
    worlds.reset(np.arange(num), range(num))
    sampled = [worlds.variation_of(world) for world in range(num)]
    slots = worlds.state_layout.slices()

    def parcels_y() -> np.ndarray:  # (num, parcels)
        return worlds.task.state()[:, slots["parcel_pos_w"]].reshape(num, -1, 3)[..., 1]

    def belt_speeds() -> np.ndarray:  # (num,)
        return worlds.task.state()[:, slots["belt_speed"]][:, 0]

    # Each world has one of the two events, and pushes are of wanted parcels.
    pushed = np.array([max(map(abs, row["push_n"])) > 0 for row in sampled])
    changed = np.array(
        [row["belt_speed_after"] != row["belt_speed"] for row in sampled]
    )
    assert (pushed ^ changed).all()
    assert 4 < pushed.sum() < num - 4
    assert all(row["wanted"][row["pushed"]] for row in sampled)

    # Step beyond the last event, and add up how far the belts have carried.
    start = parcels_y()
    ridden = np.zeros(num)
    for _ in range(int(4.3 * worlds.config.control_hz)):
        ridden += belt_speeds() / worlds.config.control_hz
        worlds.step(idle_action(worlds))

    # Only a push makes a parcel slide on its belt.
    moved = parcels_y() - start - ridden[:, None]
    slid = np.array(
        [abs(moved[world, row["pushed"]]) for world, row in enumerate(sampled)]
    )
    assert (slid[pushed] > 0.008).all()
    assert (slid[~pushed] < 0.008).all()
    speeds = belt_speeds()
    np.testing.assert_allclose(speeds, [row["belt_speed_after"] for row in sampled])


@pytest.mark.parametrize("level", ["L1", "L2", "L3"])
def test_below_l4_nothing_happens(level: str) -> None:
    for seed in range(20):
        sampled = sample_episode(seed, Variation(TABLE, level, "train"), 0.0)
        assert sampled["belt_speed_after"] == sampled["belt_speed"]
        assert sampled["push_n"] == (0.0, 0.0)


@pytest.mark.parametrize(
    ("route", "speed_rad_s", "skill"),
    [
        (SLIM_WRIST_ROUTE, 0.0, "place"),
        (WIDE_WRIST_ROUTE, 0.2, "place"),
        (WIDE_WRIST_ROUTE, 0.0, "release"),
    ],
)
def test_a_wide_wrist_lets_go_where_something_stops_it_above_the_bin(
    route: Route, speed_rad_s: float, skill: str
) -> None:
    # A read parcel is held over its place, higher than where the hand lets go.
    worlds = sort_worlds()
    parcel = wanted_of(worlds)
    bin_w = in_bin(worlds, parcel)
    outward = np.array([*bin_w[:2], 0]) / np.linalg.norm(bin_w[:2])
    left = np.array([-outward[1], outward[0], 0])
    beside = outward * route.slots_m[parcel] + left * route.beside_m[parcel]
    held_w = bin_w + beside + (0, 0, 0.2)
    worlds.task.memory()["scanned"][0, parcel] = 1
    yaw = np.arctan2(outward[1], outward[0])
    put(worlds, parcel, held_w, (np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)))

    values = worlds.task.state()
    slices = worlds.state_layout.slices()
    state = {name: values[:, columns] for name, columns in slices.items()}
    agent = {
        "tcp_pos_w": held_w[None],
        "tcp_rot6d": np.concatenate([outward, -left])[None],  # the hand points down
        "gripper_width": np.array([[0.05]]),
        "joint_vel": np.full((1, 7), speed_rad_s),
    }
    payload = decide(np, agent, state, to_bin=route)
    assert SKILLS[int(payload.subtask[0])] == skill


def test_three_parcels_in_one_bin_lie_below_its_rim_and_between_its_walls() -> None:
    samples = Variation(TABLE, "L3", "train")
    widest = max(samples.sample_many(0, "width", 100))
    highest = max(samples.sample_many(0, "height", 100))
    places = list(zip(WIDE_WRIST_ROUTE.slots_m, WIDE_WRIST_ROUTE.beside_m, strict=True))
    for place in places:
        assert abs(place[1]) + widest / 2 < BIN.width / 2
        # what lies on another parcel is in the bin if its middle is below the rim
        assert (places.count(place) - 0.5) * highest < BIN.height


@pytest.mark.parametrize(
    "robot", ["arm", pytest.param("wheeled_arm", marks=pytest.mark.slow)]
)
@pytest.mark.slow
def test_the_expert_turns_parcels_whose_label_is_on_an_end(robot: str) -> None:
    spec = find_policy("expert").spec("ParcelSort", robot)
    config = env_config_for(spec, "ParcelSort", "L2", "train", robot)
    factors = {"label": "end", "parcels": 2}
    worlds = Worlds(EnvConfig(**{**vars(config), "factors": factors}), 4)

    results = rollout(worlds, find_policy("expert").make(worlds), [7, 8, 9, 10])
    assert all(result.success_at_end for result in results)
    assert all(result.dropped == 0 for result in results)
    assert 200 < parcels_per_hour(results) < 1200

    # Two wanted parcels in 36 s are 200 per hour; a failure adds an hour and no parcel.
    failed = replace(results[0], time_to_success_s=None, duration_s=3600.0)
    sorted_two = replace(
        results[0], time_to_success_s=36.0, variation={"wanted": [True, False, True]}
    )
    assert parcels_per_hour([sorted_two]) == pytest.approx(200)
    assert parcels_per_hour([sorted_two, failed]) == pytest.approx(2 / 1.01)
    assert parcels_per_hour([]) == 0
