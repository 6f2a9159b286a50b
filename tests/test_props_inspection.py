"""Props of the inspection room, each alone."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from embodied.core import PHYSICS_HZ
from embodied.envs.props import sign
from embodied.envs.props.button import (
    PRESSED_M,
    RELEASED_M,
    SPRING_N_M,
    TRAVEL_M,
    Buttons,
)
from embodied.envs.props.console import ConsoleSize, add_console
from embodied.envs.props.panel import (
    BUTTON_BELOW_M,
    BUTTON_TOP_M,
    BUTTONS,
    LAMPS,
    NAMES,
    Panel,
    add_panel,
    lamp_of_button,
    middle_m,
)
from embodied.envs.props.sign import Signs, SignStyle, add_sign, add_text, draw_text
from embodied.envs.props.valve import (
    DIAL_MIDDLE_M,
    DIAL_SIZE_M,
    KINDS,
    SCALE_RAD,
    TICKS_INNER_M,
    TICKS_OUTER_M,
    Valves,
    add_dial,
    add_valve,
    dial_picture,
)
from embodied.sim.cameras import Camera
from embodied.sim.cpu import CpuEngine
from embodied.sim.physics import apply_defaults, stiff_friction

STYLE = SignStyle((0.2, 0.06), ink=(0, 0, 0), paper=(1, 1, 1))


def empty_spec() -> mujoco.MjSpec:
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    apply_defaults(spec)
    spec.visual.headlight.ambient = [1.0] * 3
    spec.visual.headlight.diffuse = [0.0] * 3
    return spec


@pytest.mark.parametrize(
    ("quat", "right", "facing"),
    [
        (sign.FACING_MINUS_X, (0, -1, 0), (-1, 0, 0)),
        (sign.FACING_PLUS_X, (0, 1, 0), (1, 0, 0)),
        (sign.FACING_MINUS_Y, (1, 0, 0), (0, -1, 0)),
        (sign.FACING_PLUS_Y, (-1, 0, 0), (0, 1, 0)),
        (sign.FACING_UP, (0, -1, 0), (0, 0, 1)),
    ],
)
def test_a_plate_faces_where_its_name_says(
    quat: np.ndarray, right: np.ndarray, facing: np.ndarray
) -> None:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, np.asarray(quat, float))
    np.testing.assert_allclose(matrix.reshape(3, 3)[:, 0], right, atol=1e-12)
    np.testing.assert_allclose(matrix.reshape(3, 3)[:, 2], facing, atol=1e-12)


@pytest.mark.parametrize(
    "text",
    ["I", "COOLING", "Pump\nroom 7", "a long line of words that must become small"],
)
def test_text_fills_its_plate_and_stays_inside(text: str) -> None:
    image = np.asarray(draw_text(text, STYLE).convert("L"))
    rows, columns = np.nonzero(image < 128)
    height, width = image.shape

    # As wide for its height as the plate.
    assert width / height == pytest.approx(0.2 / 0.06, rel=0.05)

    # A margin on each side, and one of the two directions filled.
    free = (
        rows.min(),
        height - 1 - rows.max(),
        columns.min(),
        width - 1 - columns.max(),
    )
    assert min(free) >= 0.06 * height
    assert (
        min(rows.max() - rows.min(), 999) > 0.6 * height
        or columns.max() - columns.min() > 0.8 * width
    )


def test_a_camera_sees_the_text_the_right_way_round_and_the_one_that_was_written() -> (
    None
):
    spec = empty_spec()
    add_sign(spec, spec.worldbody, "plate", "FL", (1, 0, 0), STYLE)
    add_text(spec, "other", "J", STYLE)
    fovy = 2 * np.degrees(np.arctan(0.03 / 0.999))
    # at the origin, looking along +x
    spec.worldbody.add_camera(name="front", quat=(0.5, 0.5, -0.5, -0.5), fovy=fovy)
    engine = CpuEngine(spec.compile(), 2, 1)
    signs = Signs(engine, ("plate",), ("plate", "other"))
    signs.write(1, [1])
    engine.refresh(np.arange(2))
    camera = Camera(engine, 60, 200)
    frames = [camera.rgb(world, "front").mean(axis=2) for world in range(2)]
    camera.close()

    for frame, text in zip(frames, ("FL", "J"), strict=True):
        expected = np.asarray(
            draw_text(text, STYLE).convert("L").resize((200, 60)), float
        )
        assert np.corrcoef(frame.ravel(), expected.ravel())[0, 1] > 0.95
        assert np.ptp(frame) > 180  # crisp


@pytest.mark.parametrize(
    "kind", [mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE]
)
def test_stiff_friction_holds_below_its_force_and_gives_way_above(
    kind: mujoco.mjtJoint,
) -> None:
    # A joint without gravity, pulled with less and with more than its friction.
    moved = []
    for share in (0.9, 1.2):
        spec = empty_spec()
        spec.option.gravity = [0, 0, 0]
        body = spec.worldbody.add_body(
            mass=0.3, inertia=[1e-3] * 3, explicitinertial=True
        )
        stiff_friction(body.add_joint(type=kind, axis=[1, 0, 0]), 1.5)
        model = spec.compile()
        data = mujoco.MjData(model)
        data.qfrc_applied[0] = share * 1.5
        mujoco.mj_step(model, data, 4000)  # 10 s
        moved.append(data.qpos[0])

    assert abs(moved[0]) < 2e-4
    assert moved[1] > 1.0


def on_console(*names: str) -> CpuEngine:
    """Returns one world with a console that carries a fault panel, or some valves.

    The valves are of the named kinds.
    """
    spec = empty_spec()
    face = add_console(spec, ConsoleSize())
    if not names:
        add_panel(spec, face)
    else:
        add_dial(spec)
        for k, kind in enumerate(names):
            add_valve(spec, face, f"valve_{k}", kind)
    engine = CpuEngine(spec.compile(), 1, 1)
    engine.refresh(np.arange(1))
    return engine


def run(engine: CpuEngine, seconds: float) -> None:
    engine.step(int(seconds * PHYSICS_HZ))


def test_a_button_clicks_below_its_stop_and_springs_back() -> None:
    engine = on_console()
    buttons = Buttons(engine, BUTTONS)
    model = engine.model
    dofs = model.joint(BUTTONS[5]).dofadr[0]
    up = np.zeros((1, len(BUTTONS)), bool)

    assert np.abs(buttons.travel()).max() < 1e-6

    # A force that does not bring it down to the click, one that does, and one that
    # would drive it through its stop.
    engine.view("qfrc_applied")[0, dofs] = 0.8 * PRESSED_M * SPRING_N_M
    run(engine, 0.5)

    assert not buttons.down(up).any()

    engine.view("qfrc_applied")[0, dofs] = 1.2 * PRESSED_M * SPRING_N_M
    run(engine, 0.5)

    assert np.flatnonzero(buttons.down(up)).tolist() == [5]

    engine.view("qfrc_applied")[0, dofs] = 30.0
    run(engine, 0.5)

    assert buttons.travel()[0, 5] == pytest.approx(TRAVEL_M, abs=1e-3)
    assert engine.world_data(0).ncon == 0

    engine.view("qfrc_applied")[0, dofs] = 0.0
    run(engine, 0.3)

    assert np.abs(buttons.travel()).max() < 1e-4


def test_a_button_comes_up_later_than_it_went_down() -> None:
    engine = on_console()
    buttons = Buttons(engine, BUTTONS)
    model = engine.model
    up = np.zeros((1, len(BUTTONS)), bool)
    held = np.ones((1, len(BUTTONS)), bool)
    engine.view("qpos")[0, model.joint(BUTTONS[0]).qposadr[0]] = (
        PRESSED_M + RELEASED_M
    ) / 2

    assert not buttons.down(up)[0, 0]
    assert buttons.down(held)[0].tolist() == [True] + [False] * 11


def test_the_top_of_a_button_sinks_into_the_face() -> None:
    engine = on_console()
    buttons = Buttons(engine, BUTTONS)
    size = ConsoleSize()
    before = buttons.tops_w(np.array([7]))
    engine.view("qpos")[0, engine.model.joint(BUTTONS[7]).qposadr[0]] = 0.004
    engine.refresh(np.arange(1))

    # It moves along the face's own normal.
    np.testing.assert_allclose(
        buttons.tops_w(np.array([7])) - before, [-0.004 * size.axes()[:, 2]], atol=1e-12
    )

    face = (before[0] - [size.x, 0, size.z]) @ size.axes()
    np.testing.assert_allclose(face[2], BUTTON_TOP_M, atol=1e-12)


def test_lamps_have_their_buttons_below_them() -> None:
    places = np.array(
        [middle_m(row, column) for row in range(3) for column in range(4)]
    )
    # Any point near the middle of a button belongs to it.
    below = places - [0, BUTTON_BELOW_M]

    assert lamp_of_button(np, below + np.array([0.02, -0.02])).tolist() == list(
        range(12)
    )

    model = on_console().model

    # A button stands straight below its lamp, and leaves a gap.
    for k in range(12):
        np.testing.assert_allclose(model.body(BUTTONS[k]).pos[:2], below[k])
        assert model.geom(LAMPS[k]).pos[0] == model.body(BUTTONS[k]).pos[0]
        assert model.geom(LAMPS[k]).pos[1] > model.body(BUTTONS[k]).pos[1] + 0.03


def test_a_panel_at_rest_costs_no_constraints() -> None:
    engine = on_console()
    run(engine, 0.2)
    assert engine.world_data(0).nefc == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_valve_stays_where_it_is_left_and_stops_at_its_ends(kind: str) -> None:
    engine = on_console(kind)
    valves = Valves(engine, ("valve_0",))
    valves.place(0, 0, (0.0, 0.0), 0.7)
    engine.refresh(np.arange(1))
    run(engine, 5.0)

    assert valves.angles()[0, 0] == pytest.approx(0.7, abs=1e-4)

    # Turn it hard against either end, and let go.
    for torque, end in ((3.0, SCALE_RAD), (-3.0, 0.0)):
        valves.push(np.array([0]), np.array([torque]))
        run(engine, 2.0)
        valves.push(np.array([0]), np.array([0.0]))
        run(engine, 0.5)
        assert abs(valves.angles()[0, 0] - end) < np.deg2rad(6)
        assert engine.world_data(0).ncon == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_handle_points_at_the_tick_of_its_angle(kind: str) -> None:
    engine = on_console(kind)
    valves = Valves(engine, ("valve_0",))
    size = ConsoleSize()
    image = dial_picture()
    dark = []

    for degrees in (0, 30, 60, 90, 120, 15.0 + 2.5, 72.5, 112.5):
        valves.place(0, 0, (0.0, 0.0), float(np.deg2rad(degrees)))
        engine.refresh(np.arange(1))
        pointing = (
            size.axes().T
            @ engine.view("xmat")[0, engine.model.body("valve_0_handle").id].reshape(
                3, 3
            )[:, 1]
        )
        # of the plate, from its lower left
        middle_of_ticks = (TICKS_INNER_M + TICKS_OUTER_M) / 2
        on_plate = pointing[:2] * middle_of_ticks + [0, -DIAL_MIDDLE_M]
        at = on_plate / DIAL_SIZE_M + 0.5
        row = int((1 - at[1]) * image.height)
        column = int(at[0] * image.width)
        dark.append(float(np.asarray(image.convert("L"))[row, column]) < 110)

    assert dark == [True] * 5 + [False] * 3


def test_a_parked_valve_is_out_of_sight() -> None:
    engine = on_console("lever", "wheel")
    valves = Valves(engine, ("valve_0", "valve_1"))
    valves.park(0, 1)
    engine.refresh(np.arange(1))
    hubs = valves.hubs_w(np.array([[0, 1]]))[0]
    assert hubs[0, 2] < 1.1
    assert 5 < hubs[1, 2] < 10


def test_lamps_are_seen_in_their_colours_and_names_beside_their_rows() -> None:
    engine = on_console()
    panel = Panel(engine)
    # The three states in turn, the last of which is a fault.
    panel.show_one(0, np.array([0, 1, 2] * 4))
    panel.name_rows(0, ["power", "heating", "pumps"])
    model = engine.world_model(0)
    colours = [tuple(np.round(model.geom(name).rgba, 3)) for name in LAMPS[:3]]

    assert len(set(colours)) == 3
    assert colours[2][0] > 8 * colours[2][1]  # red

    names = [model.material(model.geom(name).matid[0]).name for name in NAMES]
    assert names == ["row_power", "row_heating", "row_pumps"]
