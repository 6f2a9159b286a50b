"""What PanelReset says and does: which fault is meant, presses, events, success."""

from __future__ import annotations

import numpy as np
import pytest

from embodied.envs.props.button import TRAVEL_M
from embodied.envs.props.panel import (
    BUTTONS,
    COLUMNS,
    DARK,
    FAULT,
    LAMPS,
    LIGHTS,
    NAME_SIZE_M,
    NAME_STYLE,
    NAME_X_M,
    SYSTEMS,
    middle_m,
)
from embodied.envs.props.sign import draw_text
from embodied.envs.scoring import StepResult
from embodied.envs.worlds import Worlds
from embodied.sim.cameras import Camera
from tests.ground import idle_action, started_worlds

TASK = "PanelReset"
N = 16
PLATE_PIXELS = (21, 15)  # width and height of a plate in the policy's pictures


def fault(worlds: Worlds, world: int = 0) -> int:
    return int(worlds.task.memory()["fault"][world])


def hold(worlds: Worlds, buttons: dict[int, int], seconds: float) -> StepResult:
    """The robots rest; in some worlds a button is held down by hand: world -> button."""

    def step() -> StepResult:
        for world, button in buttons.items():
            worlds.engine.view("qpos")[
                world, worlds.model.joint(BUTTONS[button]).qposadr[0]
            ] = TRAVEL_M
        return worlds.step(idle_action(worlds))

    return [step() for _ in range(int(seconds * worlds.config.control_hz))][-1]


def press(worlds: Worlds, buttons: dict[int, int]) -> StepResult:
    hold(worlds, buttons, 0.15)
    return hold(worlds, {}, 0.15)


def lamp_states(worlds: Worlds, world: int) -> list[int]:
    """What each lamp of a world's model shows."""
    model = worlds.engine.world_model(world)
    rgba = [model.geom(name).rgba for name in LAMPS]
    return [
        int(np.argmin([np.abs(colour - light).sum() for light in np.array(LIGHTS)]))
        for colour in rgba
    ]


@pytest.mark.parametrize("split", ["train", "all"])
@pytest.mark.parametrize("level", ["L1", "L2", "L3"])
def test_the_sentence_means_one_fault(level: str, split: str) -> None:
    worlds = started_worlds(N, task=TASK, level=level, split=split)

    by_row = 0
    for world, sentence in enumerate(worlds.instructions):
        sampled = worlds.variation_of(world)
        lit = [k for k in range(12) if sampled["lights"][k] == FAULT]
        assert lamp_states(worlds, world) == sampled["lights"]

        # Where several faults are lit, the sentence names the row of the one meant.
        named = [
            row for row, system in enumerate(sampled["systems"]) if system in sentence
        ]
        if "{row}" in sampled["sentence"]:
            by_row += 1
            lit = [k for k in lit if [k // COLUMNS] == named]
        assert lit == [fault(worlds, world)], sentence

    assert (by_row > 0) == (level != "L1" or split == "all")


def test_the_right_button_puts_its_lamp_out_and_counts_once_it_is_up() -> None:
    worlds = started_worlds(2, task=TASK, level="L1")
    hold(worlds, {0: fault(worlds)}, 0.2)
    assert lamp_states(worlds, 0)[fault(worlds)] == DARK
    assert not hold(worlds, {0: fault(worlds)}, 0.8).success_now[0]
    assert not hold(worlds, {}, 0.3).success[0]
    result = hold(worlds, {}, 0.5)
    assert result.success.tolist() == [True, False]
    assert result.progress[0] == 1
    assert lamp_states(worlds, 1)[fault(worlds, 1)] == FAULT


def test_any_other_button_loses() -> None:
    worlds = started_worlds(12, task=TASK, level="L3", factors={"place": 6})
    result = press(worlds, {world: world for world in range(12)})
    assert result.terminated.tolist() == [world != 6 for world in range(12)]
    assert not result.success_now[np.arange(12) != 6].any()
    assert (result.reward[np.arange(12) != 6] == 0).all()


def test_a_light_touch_is_no_press() -> None:
    worlds = started_worlds(1, task=TASK, level="L1")
    qpos = worlds.model.joint(BUTTONS[0]).qposadr[0]
    for _ in range(20):
        worlds.engine.view("qpos")[0, qpos] = 0.003
        assert not worlds.step(idle_action(worlds)).terminated[0]


def test_at_l4_the_fault_moves_or_another_one_comes() -> None:
    worlds = started_worlds(2 * N, task=TASK, level="L4")
    sampled = [worlds.variation_of(world) for world in range(2 * N)]
    before = [fault(worlds, world) for world in range(2 * N)]

    # By then the faults that move have moved; those that come again wait for the reset.
    hold(worlds, {}, 1.6)

    kinds = [row["event"] for row in sampled]
    again = {world for world, kind in enumerate(kinds) if kind == "again"}
    assert 5 < len(again) < 2 * N - 5

    # A moved fault leaves its old lamp dark, and stays in its row where decoys are lit.
    now = {world: fault(worlds, world) for world in range(2 * N)}
    for world, lamp in now.items():
        assert (lamp == before[world]) == (world in again)
        assert lamp_states(worlds, world)[lamp] == FAULT
        assert world in again or lamp_states(worlds, world)[before[world]] == DARK
        if sampled[world]["decoys"]:
            assert lamp // COLUMNS == before[world] // COLUMNS

    # The press is enough where the fault has moved; elsewhere another one follows.
    result = press(worlds, now)
    assert result.success_now.tolist() == [world not in again for world in now]

    hold(worlds, {}, 1.2)
    assert all(
        lamp_states(worlds, world)[fault(worlds, world)] == FAULT for world in again
    )

    result = press(worlds, {world: fault(worlds, world) for world in again})
    assert result.success_now.all()
    assert not result.terminated.any()


def test_below_l4_nothing_happens() -> None:
    worlds = started_worlds(N, task=TASK, level="L3")
    before = [lamp_states(worlds, world) for world in range(N)]
    assert not hold(worlds, {}, 2.5).success_now.any()
    assert [lamp_states(worlds, world) for world in range(N)] == before


def test_a_lamp_stays_dark_while_its_button_is_held() -> None:
    worlds = started_worlds(
        8,
        task=TASK,
        level="L4",
        factors={"sentence": "Reset the fault that the panel shows."},
    )

    again = [
        world for world in range(8) if worlds.variation_of(world)["event"] == "again"
    ]
    # In this world the fault comes back under the button that is still held.
    world = again[0]
    worlds.task.memory()["next"][world] = fault(worlds, world)
    hold(worlds, {world: fault(worlds, world)}, 2.0)

    assert lamp_states(worlds, world)[fault(worlds, world)] == DARK
    # Released, the button shows what is lit.
    hold(worlds, {}, 0.3)
    assert lamp_states(worlds, world)[fault(worlds, world)] == FAULT


def test_the_cameras_frame_shows_which_lamp_is_lit() -> None:
    """At 96 x 96, against the frame in which it is out."""
    worlds = started_worlds(
        4, task=TASK, level="L2", factors={"warnings": 1, "decoys": 0}
    )

    camera = Camera(worlds.engine, 96, 96)
    lit = [camera.rgb(world, "overview").astype(int) for world in range(4)]
    # A press puts out the lamp of each fault.
    press(worlds, {world: fault(worlds, world) for world in range(4)})
    for world, before in enumerate(lit):
        red = (before[..., 0] > 150) & (before[..., 1] < 90) & (before[..., 2] < 90)
        after = camera.rgb(world, "overview").astype(int)
        assert 6 <= red.sum() <= 60
        assert (after[red][:, 0] < 120).all()
    camera.close()


def plate_pixels(worlds: Worlds, world: int, row: int, frame: np.ndarray) -> np.ndarray:
    """The grey levels of a row's plate in a world's picture, from its upper left."""
    model = worlds.engine.world_model(world)
    data = worlds.engine.world_data(world)
    face = model.body("console").id
    camera = model.camera("overview").id
    width, height = PLATE_PIXELS
    x = (np.arange(width) + 0.5) / width - 0.5
    y = 0.5 - (np.arange(height) + 0.5) / height
    on_plate = np.stack([*np.meshgrid(x, y), np.zeros((height, width))], axis=-1)
    on_face = on_plate * (*NAME_SIZE_M, 0) + (NAME_X_M, middle_m(row, 0)[1], 0)

    # where the camera sees these points: pixels from its middle, to the right and up
    points_w = data.xpos[face] + on_face @ data.xmat[face].reshape(3, 3).T
    seen = (points_w - data.cam_xpos[camera]) @ data.cam_xmat[camera].reshape(3, 3)
    focus = len(frame) / 2 / np.tan(np.radians(model.cam_fovy[camera]) / 2)
    at = focus * seen[..., :2] / -seen[..., 2:]
    columns = (len(frame) / 2 + at[..., 0]).astype(int)
    rows = (len(frame) / 2 - at[..., 1]).astype(int)
    return frame[rows, columns].mean(axis=-1)


def read_plate(pixels: np.ndarray) -> str:
    """The system whose plate looks most like these grey levels."""

    def likeness(text: str) -> float:
        picture = draw_text(text, NAME_STYLE).convert("L").resize(PLATE_PIXELS)
        return float(np.corrcoef(pixels.ravel(), np.asarray(picture).ravel())[0, 1])

    return max(SYSTEMS, key=lambda system: likeness(SYSTEMS[system]))


@pytest.mark.parametrize(
    "robot", ["arm", pytest.param("wheeled_arm", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("split", ["train", "all"])
def test_the_plates_can_be_read_in_the_policys_pictures(split: str, robot: str) -> None:
    """At 96 x 96, with light, cameras, console and noise as different as they may be."""
    worlds = started_worlds(
        8, task=TASK, level="L3", split=split, robot=robot, obs="pixels"
    )
    frames = worlds.observe(privileged=False).pixels["overview"]
    worlds.close()

    seen = set()
    for world, frame in enumerate(frames):
        systems = worlds.variation_of(world)["systems"]
        for row, system in enumerate(systems):
            assert read_plate(plate_pixels(worlds, world, row, frame)) == system
            seen.add((row, system))
    assert len(seen) >= 8, "a name has no row of its own"


def test_only_the_letters_tell_the_plates_apart() -> None:
    """No colour of a plate follows its name: letters are dark, and the rest is white."""
    for text in SYSTEMS.values():
        colours = np.asarray(draw_text(text, NAME_STYLE), float)
        assert np.ptp(colours, axis=2).max() < 6
        assert 0.5 < (colours.mean(axis=2) > 200).mean() < 0.95
