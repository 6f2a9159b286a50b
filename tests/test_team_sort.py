"""What TeamSort says and does: bins by sentence, labels, the belt's eye, two hands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from embodied.envs.registry import get_robot, get_task, robots_for
from embodied.envs.scoring import StepResult
from embodied.envs.tasks.parcel_sort.variation import COLOURS
from embodied.envs.tasks.team_sort.episode import sample_episode
from embodied.envs.tasks.team_sort.scene import BINS, PARCELS, SCANNER, STOP_Y_W
from embodied.envs.tasks.team_sort.variation import TABLE
from embodied.envs.variation import LEVELS, SPLITS, Variation
from embodied.envs.worlds import Worlds
from embodied.policies.episodes import env_config_for
from embodied.policies.registry import find_policy
from embodied.rollout.rollout import rollout
from tests.ground import idle_action, started_worlds

TASK = "TeamSort"
# the parcel's x, with a label on an end, points up
ON_END = (np.sqrt(0.5), 0.0, -np.sqrt(0.5), 0.0)
LEVEL = (1.0, 0.0, 0.0, 0.0)


def put(
    worlds: Worlds,
    parcel: int,
    pos_w: np.ndarray,
    quat: tuple[float, ...] = LEVEL,
    world: int = 0,
) -> None:
    """Places a parcel's middle, at rest."""
    joint = worlds.model.joint(PARCELS[parcel])
    qpos = int(joint.qposadr[0])
    qvel = int(joint.dofadr[0])
    worlds.engine.view("qpos")[world, qpos : qpos + 7] = [*pos_w, *quat]
    worlds.engine.view("qvel")[world, qvel : qvel + 6] = 0.0


def wait(worlds: Worlds, seconds: float) -> StepResult:
    steps = int(seconds * worlds.config.control_hz)
    return [worlds.step(idle_action(worlds)) for _ in range(steps)][-1]


def over_the_plate(up_m: float) -> np.ndarray:
    return np.array([SCANNER.x, SCANNER.y, SCANNER.top_z + up_m])


def in_bin(number: int, along_m: float = 0.0) -> np.ndarray:
    place = BINS[number]
    way = np.array([np.cos(place.yaw), np.sin(place.yaw)])
    return np.array([*(np.array([place.x, place.y]) + along_m * way), 0.74])


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("level", LEVELS)
def test_the_sentence_says_which_bin_each_colour_belongs_in(
    level: str, split: str
) -> None:
    for seed in range(20):
        sampled = sample_episode(seed, Variation(TABLE, level, split))
        words = sampled["instruction"].replace(",", " ").replace(".", " ").split()
        said = [colour for colour in COLOURS if colour in words]
        assert said == [sampled["colour"][0]], words
        assert "white" in words
        assert "black" in words

        # parcels of that colour, and only they, belong in the bin that it names
        named = [kind == 0 for kind in sampled["kind"]]
        own = sampled["bin_colour"][sampled["named_bin"]]
        assert any(named)
        belongs = [sampled["bin_colour"][k] == own for k in sampled["bin"]]
        assert belongs == named


def test_what_robots_fit_and_what_one_lacks() -> None:
    spec = get_task(TASK)
    assert robots_for(spec) == ("arm+arm", "dual_arm")
    assert spec.needs.missing(get_robot("arm")) == ["2 effectors (it has 1)"]


def test_the_belt_stands_while_a_parcel_waits_to_be_picked() -> None:
    worlds = started_worlds(1, task=TASK, level="L1")
    wait(worlds, 2.0)
    column = int(worlds.model.joint(PARCELS[0]).qposadr[0]) + 1
    y = worlds.engine.view("qpos")[0, column]
    assert STOP_Y_W < y < STOP_Y_W + 0.02

    # it is taken away, and the next one comes
    put(worlds, 0, in_bin(0))
    wait(worlds, 0.2)
    assert worlds.task.state()[0, -1] == pytest.approx(0.1)
    wait(worlds, 3.0)
    assert worlds.task.state()[0, -1] == 0.0


def test_a_label_is_read_where_it_faces_up_under_the_scanner() -> None:
    worlds = started_worlds(4, task=TASK, level="L1")
    put(worlds, 0, over_the_plate(0.051), ON_END, world=0)
    put(worlds, 0, over_the_plate(0.026), LEVEL, world=1)  # the label faces aside
    put(worlds, 0, over_the_plate(0.40), ON_END, world=2)  # too high, and falling
    put(worlds, 0, in_bin(0), ON_END, world=3)
    wait(worlds, 0.25)
    assert worlds.task.memory()["scanned"][:, 0].tolist() == [1, 0, 0, 0]


def test_all_parcels_read_and_in_their_bins_are_success() -> None:
    worlds = started_worlds(3, task=TASK, level="L1")
    for world in range(3):
        sampled = worlds.variation_of(world)
        for parcel, own in enumerate(sampled["bin"]):
            number = own if world != 2 else 1 - own
            put(worlds, parcel, in_bin(number, 0.12 * parcel - 0.06), LEVEL, world)
    worlds.task.memory()["scanned"][[0, 2]] = 1.0
    result = wait(worlds, 1.2)
    # not where they were never read, or lie in each other's bin
    assert result.success.tolist() == [True, False, False]
    assert result.progress[0] == 1
    assert not result.terminated.any()


def test_a_parcel_on_the_floor_loses() -> None:
    worlds = started_worlds(1, task=TASK, level="L1")
    put(worlds, 1, np.array([1.2, 0.8, 0.1]))
    result = wait(worlds, 0.1)
    assert result.terminated[0]
    assert result.dropped[0] == 1


def test_at_l4_the_belt_changes_its_speed_or_a_parcel_is_pushed() -> None:
    sampled = [sample_episode(s, Variation(TABLE, "L4", "train")) for s in range(30)]
    pushed = [row["push_n"] != (0.0, 0.0) for row in sampled]
    changed = [row["belt_speed_after"] != row["belt_speed"] for row in sampled]
    assert all(a != b for a, b in zip(pushed, changed, strict=True))
    assert 5 < sum(pushed) < 25
    for level in ("L1", "L3"):
        row = sample_episode(0, Variation(TABLE, level, "train"))
        assert row["push_n"] == (0.0, 0.0)
        assert row["belt_speed_after"] == row["belt_speed"]


@pytest.mark.parametrize("colour", ["red", "blue", "green", "yellow", "purple"])
def test_a_label_that_is_held_up_can_be_read_from_the_policys_picture(
    colour: str,
) -> None:
    factors = {"colour": colour}
    worlds = started_worlds(1, task=TASK, obs="pixels", level="L1", factors=factors)
    put(worlds, 0, over_the_plate(0.13), ON_END)
    worlds.step(idle_action(worlds))
    frame = worlds.observe().pixels["overview"][0]  # (H, W, 3)

    # the pixel in the middle of the label, by the camera's own geometry
    data = worlds.engine.world_data(0)
    camera = data.camera("overview")
    label = data.geom(f"{PARCELS[0]}_label").xpos - camera.xpos
    x, y, z = camera.xmat.reshape(3, 3).T @ label
    half = frame.shape[0] / 2
    fovy = np.deg2rad(worlds.model.camera("overview").fovy[0])
    scale = half / np.tan(fovy / 2)
    seen = frame[int(half - scale * y / -z), int(half + scale * x / -z)] / 255.0

    # by its hue: the colour whose direction is nearest
    names = list(COLOURS)
    known = np.array([COLOURS[name] for name in names])
    known = known / np.linalg.norm(known, axis=1, keepdims=True)
    votes = known @ (seen / np.linalg.norm(seen))
    assert names[int(np.argmax(votes))] == colour


@pytest.mark.slow
def test_two_hands_sort_far_more_per_hour_than_one_alone() -> None:
    """Once the line is full: by the time that a third parcel takes."""
    spec = find_policy("expert").spec(TASK, "arm+arm")
    config = env_config_for(spec, TASK, "L2", "train", "arm+arm")
    seconds_per_parcel = []
    for policy in ("expert", "examples.one_hand_alone:ALONE"):
        source = find_policy(policy)
        durations_s = []
        for parcels in (2, 3):
            fixed = replace(
                config, factors={"parcels": parcels}, horizon_s=45.0, num_threads=1
            )
            worlds = Worlds(fixed, 4)
            results = rollout(worlds, source.make(worlds), [0, 1, 2, 3])
            assert all(result.success_at_end for result in results)
            assert all(result.dropped == 0 for result in results)
            times_s = [result.time_to_success_s or np.nan for result in results]
            durations_s.append(np.mean(times_s))
        seconds_per_parcel.append(durations_s[1] - durations_s[0])

    two_hands_s, one_hand_s = seconds_per_parcel
    assert one_hand_s > 1.55 * two_hands_s
