"""What Patrol says and does: the round, who walks where, looking, touching, pictures."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from embodied.core import PHYSICS_HZ
from embodied.envs.clearance import FAR_M, sides_m
from embodied.envs.props.checkpoint import PLATE_M, SIGN_Z_M
from embodied.envs.props.people import AWAY_M, PERSON_RADIUS_M
from embodied.envs.props.person_shape import FOOT_M, SHIN_M, THIGH_M, stride_poses
from embodied.envs.props.sign import SignStyle, draw_text
from embodied.envs.props.walks import Walk, meeting_m
from embodied.envs.registry import get_robot
from embodied.envs.scenes.machine_hall import FRONT_Y_M, ROBOT_Y_M
from embodied.envs.tasks.patrol.episode import walks_of
from embodied.envs.tasks.patrol.expert import (
    ASIDE_RAD,
    BAYS_W,
    SIDES,
    STAND_M,
    room_of,
)
from embodied.envs.tasks.patrol.facts import KEPT_M, SEEN_S
from embodied.envs.tasks.patrol.scene import BAYS_X_M, PEOPLE, STATIONS
from embodied.envs.tasks.patrol.variation import COLOURS, NUMBERS
from embodied.envs.worlds import Worlds
from tests.ground import idle_action, started_worlds

TASK = "Patrol"
ROBOT = "wheeled_arm"
SQUARE = Walk(((0, 0), (4, 0), (4, 4), (0, 4)), speed_m_s=1.0)
HALF_WIDTH_M = 0.26  # of the robot's base
LEGS_RADIUS_M = 0.20
# How far to the right of the mount the sign is, as the expert aims.
WHEELED_ASIDE_M = -0.226


def begun(num: int, robot: str = ROBOT, **settings: object) -> Worlds:
    return started_worlds(num, task=TASK, robot=robot, **settings)


def put(worlds: Worlds, x: float, y: float, yaw: float, pan: float = 0.0) -> None:
    """Sets the base of every world at a place, at rest, and lets it stay there.

    A head with a pan joint is turned by `pan`.
    """
    place = {"base_x": x, "base_y": y, "base_yaw": yaw}
    if pan:
        place["head_pan"] = pan
    for name, value in place.items():
        joint = worlds.model.joint(name)
        worlds.engine.view("qpos")[:, joint.qposadr[0]] = value
        worlds.engine.view("qvel")[:, joint.dofadr[0]] = 0.0
    worlds.engine.refresh(np.arange(worlds.num_worlds))
    worlds.control.reset(np.ones(worlds.num_worlds, bool))


def before(worlds: Worlds, station: int, aside_m: float = 0.0) -> tuple[float, ...]:
    """Where the mount looks at a station of world 0."""
    body = worlds.model.body(STATIONS[station].name).id
    x = float(worlds.engine.model_view("body_pos")[0, body, 0])
    side = np.sign(STATIONS[station].place[1])
    y = side * (FRONT_Y_M - STAND_M)
    return x - side * aside_m, y, side * np.pi / 2


def before_turned_aside(worlds: Worlds, station: int) -> tuple[float, ...]:
    """Where the mount and the head of a broad robot look at a station."""
    _, middle_m = room_of(worlds.robot, ASIDE_RAD)
    x, y = BAYS_W[station]
    side = SIDES[station]
    yaw = side * (np.pi / 2 - ASIDE_RAD)
    return x - middle_m * np.cos(yaw), y - middle_m * np.sin(yaw), yaw, side * ASIDE_RAD


def stand(worlds: Worlds, place: tuple[float, ...], seconds: float) -> None:
    for _ in range(round(seconds * worlds.config.control_hz)):
        put(worlds, *place)
        worlds.step(idle_action(worlds))


# --- People ---


def test_a_walk_is_a_closed_loop_at_its_speed() -> None:
    rows, period_s = replace(SQUARE, right_m=0.2, pause_s=3.0).samples()
    np.testing.assert_allclose(rows[0, :2], rows[-1, :2], atol=1e-6)
    # turned once around, in whole strides
    assert abs(rows[-1, 2] - rows[0, 2]) == pytest.approx(np.pi, abs=1e-6)
    assert rows[-1, 3] == pytest.approx(round(rows[-1, 3]))

    # to the right of a loop that runs to the left is outside
    assert rows[:, 0].max() == pytest.approx(4.2, abs=0.01)
    step_m = np.linalg.norm(np.diff(rows[:, :2], axis=0), axis=1)
    speed = step_m / (period_s / (len(rows) - 1))
    assert speed.max() == pytest.approx(1.0, abs=0.02)
    # it stands for a while, and takes no steps then
    stands = rows[:, 4] == 0
    assert 1.5 < stands.mean() * period_s < 3.0
    assert np.ptp(rows[stands, :2], axis=0).max() < 1e-6


def test_two_who_start_together_meet_and_those_apart_do_not() -> None:
    assert meeting_m(SQUARE, SQUARE, 20.0) == 0
    assert meeting_m(SQUARE, SQUARE.starting(0.5), 20.0) > 3.0
    assert meeting_m(SQUARE, replace(SQUARE, corners=SQUARE.corners[::-1]), 20.0) < 0.3


def test_a_foot_stands_on_the_floor_in_every_pose() -> None:
    quats, sinking = stride_poses()
    angles = 2 * np.arctan2(quats[..., 2], quats[..., 0])
    lowest = np.full(len(quats), -np.inf)
    for thigh, shin in ((1, 2), (5, 6)):
        total = angles[:, thigh] + angles[:, shin]
        leg = THIGH_M * np.cos(angles[:, thigh]) + SHIN_M * np.cos(total) + FOOT_M
        lowest = np.maximum(lowest, leg)
    hip_z = 0.91 - sinking
    np.testing.assert_allclose(hip_z, lowest, atol=1e-9)
    assert np.ptp(angles[-32:, 1]) > 0.7  # full steps
    assert np.abs(angles[:32]).max() < 0.2  # standing


def test_people_are_where_the_time_says_and_others_are_gone() -> None:
    worlds = begun(2, level="L3", factors={"people": 2})
    people = worlds.task._props.people
    for _ in range(30):
        worlds.step(idle_action(worlds))
    told = worlds.observe().environment_state
    columns = worlds.state_layout.slices()["people_w"]
    now = told[:, columns].reshape(2, len(PEOPLE), -1, 2)[:, :, 0]
    np.testing.assert_allclose(now[:, :2], people.positions_w()[:, :2], atol=1e-9)
    assert (now[:, 2] == AWAY_M).all()

    # 29 steps after the start, as the walk says
    walk = walks_of(worlds.variation_of(0))[0]
    rows, period_s = walk.samples()
    turns = (walk.start_s + 29 / worlds.config.control_hz) / period_s
    row = (turns % 1) * (len(rows) - 1)
    expected = [np.interp(row, np.arange(len(rows)), rows[:, k]) for k in (0, 1)]
    np.testing.assert_allclose(now[0, 0], expected, atol=1e-6)

    assert people.is_present().tolist() == [[True, True, False]] * 2
    data = worlds.engine.world_data(0)
    assert data.body(PEOPLE[2]).xpos[2] > 7


def test_at_l4_one_person_halts_and_nobody_knows_before() -> None:
    worlds = begun(4, level="L4")
    walks = [walks_of(worlds.variation_of(world)) for world in range(4)]
    halting = [[walk.halt_s < 100 for walk in walks[world]] for world in range(4)]
    assert [sum(one) for one in halting] == [1, 1, 1, 1]

    people = worlds.task._props.people
    person = halting[0].index(True)
    walk = walks[0][person]
    ticks = (walk.halt_s + np.array([-0.5, 0.5, 1.5])) * PHYSICS_HZ
    places = [people.future_positions_w(np.full(4, int(t)))[0, person] for t in ticks]
    assert np.ptp(places[0], axis=0).max() > 0.5
    assert np.ptp(places[1], axis=0).max() == 0
    assert (places[1] == places[2]).all()


# --- The round ---


@pytest.mark.parametrize("split", ["train", "all"])
@pytest.mark.parametrize("level", ["L1", "L3"])
def test_the_sentence_names_the_stations_in_order(level: str, split: str) -> None:
    worlds = begun(8, level=level, split=split)
    for world, sentence in enumerate(worlds.instructions):
        sampled = worlds.variation_of(world)
        assert len(set(sampled["number"])) == len(STATIONS)
        assert len(set(sampled["colour"])) == len(STATIONS)
        places = []
        for station in sampled["round"]:
            number = f"station {sampled['number'][station]}"
            colour = f"{sampled['colour'][station]} station"
            said = [sentence.find(word) for word in (number, colour)]
            assert max(said) >= 0
            places.append(max(said))
        assert places == sorted(places)
        assert len(places) == sampled["asked"]


def test_looking_in_order_is_success_and_a_glance_is_not() -> None:
    worlds = begun(1, level="L1")
    first, second = worlds.variation_of(0)["round"]
    stand(worlds, before(worlds, second, WHEELED_ASIDE_M), SEEN_S + 0.4)
    assert worlds.task.memory()["seen"][0] == 0

    stand(worlds, before(worlds, first, WHEELED_ASIDE_M), 0.6 * SEEN_S)
    stand(worlds, (BAYS_X_M[1], 0.0, 0.0), 0.2)
    stand(worlds, before(worlds, first, WHEELED_ASIDE_M), 0.6 * SEEN_S)
    assert worlds.task.memory()["seen"][0] == 0
    stand(worlds, before(worlds, first, WHEELED_ASIDE_M), 0.6 * SEEN_S)
    assert worlds.task.memory()["seen"][0] == 1
    outcome = worlds.task.judge()
    assert 0.3 <= outcome.progress[0] < 1

    stand(worlds, before(worlds, second, WHEELED_ASIDE_M), SEEN_S + 0.2)
    outcome = worlds.task.judge()
    assert outcome.success[0]
    assert outcome.progress[0] == 1


def test_who_is_touched_or_passed_too_fast_loses_the_round() -> None:
    for speed_m_s, lost in ((0.0, False), (0.2, False), (0.5, True)):
        worlds = begun(1, level="L1")
        person = worlds.task._props.people.positions_w()[0, 0]
        # beside the person, with its side 0.3 m away, and not behind a wall
        inwards = -1.0 if person[1] > 0 else 1.0
        aside = inwards * (HALF_WIDTH_M + PERSON_RADIUS_M + 0.3)
        put(worlds, float(person[0]), float(person[1]) + aside, 0.0)
        joint = worlds.model.joint("base_x")
        worlds.engine.view("qvel")[:, joint.dofadr[0]] = speed_m_s
        worlds.engine.refresh(np.arange(1))
        facts = worlds.task._facts()
        assert facts.people_m[0] == pytest.approx(0.3, abs=0.03)
        assert facts.people_m[0] < KEPT_M
        assert facts.is_too_near[0] == lost

    # where the person's legs are is a contact
    person = worlds.task._props.people.positions_w()[0, 0]
    touching = inwards * (HALF_WIDTH_M + LEGS_RADIUS_M - 0.02)
    put(worlds, float(person[0]), float(person[1]) + touching, 0.0)
    for _ in range(2):
        worlds.step(idle_action(worlds))
    assert worlds.safety(1).collision[0]
    result = worlds.step(idle_action(worlds))
    assert result.terminated[0]
    assert result.reward[0] == 0
    assert worlds.task.memory()["touched"][0] == 1


def test_nobody_is_far_away() -> None:
    worlds = begun(1, level="L1")
    worlds.task.memory()["walker_z"][...] = 8.0
    worlds.engine.refresh(np.arange(1))
    assert worlds.task._facts().people_m[0] == FAR_M


# --- Pictures ---


def seen_sign(
    worlds: Worlds, world: int, station: int, frame: np.ndarray
) -> np.ndarray:
    """The sign of a station, cut out of a picture of the head and made upright."""
    data = worlds.engine.world_data(world)
    camera = worlds.model.camera("head").id
    size = frame.shape[0]
    focal = size / 2 / np.tan(np.deg2rad(worlds.model.cam_fovy[camera]) / 2)
    across = np.linspace(-0.5, 0.5, 13) * PLATE_M[0]
    up = np.linspace(0.5, -0.5, 13) * PLATE_M[1]
    matrix = data.cam_xmat[camera].reshape(3, 3)
    body = data.body(STATIONS[station].name)
    rows = []
    for height in up:
        # to the right of the reader is -y of the station
        local = np.stack([0 * across - 0.012, -across, 0 * across], axis=1)
        local[:, 2] = SIGN_Z_M + height
        points = body.xpos + local @ body.xmat.reshape(3, 3).T
        seen = (points - data.cam_xpos[camera]) @ matrix
        column = size / 2 + focal * seen[:, 0] / -seen[:, 2]
        line = size / 2 - focal * seen[:, 1] / -seen[:, 2]
        rows.append(frame[line.astype(int), column.astype(int)].mean(axis=1))
    return np.array(rows)


def number_on(sign: np.ndarray) -> int:
    """The number whose drawing is most like a sign's brightness (13, 13)."""
    style = SignStyle(PLATE_M, stretched=True)
    likeness = []
    for number in NUMBERS:
        drawn = draw_text(str(number), style).convert("L").resize((13, 13))
        likeness.append(np.corrcoef(np.asarray(drawn).ravel(), sign.ravel())[0, 1])
    return NUMBERS[int(np.argmax(likeness))]


@pytest.mark.parametrize("robot", [ROBOT, "dual_arm"])
def test_signs_are_read_in_the_policys_picture(robot: str) -> None:
    worlds = begun(1, robot, level="L3", obs="pixels", factors={"pixel_noise": 2.0})
    shown = worlds.variation_of(0)
    for station in range(0, len(STATIONS), 2):
        place = (
            before(worlds, station, WHEELED_ASIDE_M)
            if robot == ROBOT
            else before_turned_aside(worlds, station)
        )
        stand(worlds, place, 0.3)
        frame = worlds.observe(privileged=False).pixels["head"][0]
        sign = seen_sign(worlds, 0, station, frame)
        assert number_on(sign) == shown["number"][station]


def test_frames_have_the_colours_that_the_sentence_names() -> None:
    worlds = begun(2, level="L3", split="objects")
    for world in range(2):
        for station, colour in enumerate(worlds.variation_of(world)["colour"]):
            frame = worlds.model.geom(f"{STATIONS[station].name}_frame").id
            rgba = worlds.engine.model_view("geom_rgba")[world, frame]
            np.testing.assert_allclose(rgba[:3], COLOURS[colour], atol=1e-6)


def test_a_broad_robot_turned_aside_has_room_in_a_bay() -> None:
    dual_arm = get_robot("dual_arm")
    left_m, right_m = sides_m(dual_arm)
    assert left_m == pytest.approx(right_m, abs=0.01)
    # people pass a bay at 0.9 m
    assert left_m + PERSON_RADIUS_M > 0.9
    left_m, right_m = sides_m(dual_arm, ASIDE_RAD)
    assert (left_m + right_m) / 2 + PERSON_RADIUS_M < 0.9 - 0.04


def test_bays_are_clear_of_the_ways_of_people() -> None:
    """So a robot that stands before a station need not flee."""
    worlds = begun(8, level="L3")
    outline = worlds.task._props.outline
    for station in range(len(STATIONS)):
        put(worlds, *before(worlds, station))
        for world in range(8):
            for walk in walks_of(worlds.variation_of(world)):
                rows, _ = walk.samples()
                places = np.broadcast_to(rows[None, :, :2], (8, len(rows), 2))
                assert outline.distance_m(places, PERSON_RADIUS_M).min() > 0.1
    assert ROBOT_Y_M < FRONT_Y_M
    assert mujoco.mjtGeom.mjGEOM_CAPSULE in worlds.model.geom_type
