"""Frames show the world that they are of, and come when they are due.

Those that were given out stay as they were.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embodied.core import PHYSICS_HZ
from embodied.envs.registry import get_robot, get_task
from embodied.envs.tasks.tote_transfer.variation import COLOURS
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.sim import cameras
from embodied.sim.cameras import Camera
from embodied.sim.feed import MOMENT, CameraFeed, Frames, frames_of
from tests.ground import every_pair, idle_action, random_actions, started_worlds

SIZE = 48


@pytest.fixture(scope="module")
def worlds() -> Any:
    started = started_worlds(
        2, level="L1", obs="both", image_size=SIZE, cameras=("overview", "wrist")
    )
    yield started
    started.close()


@pytest.fixture(scope="module")
def camera(worlds: Worlds) -> Any:
    opened = Camera(worlds.engine, 60, 80)
    yield opened
    opened.close()


def geoms_of(worlds: Worlds, prefix: str) -> list[int]:
    return [
        i
        for i in range(worlds.model.ngeom)
        if worlds.model.geom(i).name.startswith(prefix)
    ]


@every_pair
def test_training_frames_are_not_blank(task: str, robot: str) -> None:
    """Those of the task's cameras and of the robot's own."""
    cameras = tuple(
        dict.fromkeys(
            (*get_task(task).cameras_for(get_robot(robot)), *get_robot(robot).cameras)
        )
    )
    worlds = started_worlds(
        2, task=task, robot=robot, obs="pixels", image_size=SIZE, cameras=cameras
    )
    pixels = worlds.observe().pixels

    assert tuple(pixels) == cameras

    for frames in pixels.values():
        assert frames.shape == (2, SIZE, SIZE, 3)
        assert frames.dtype == np.uint8
        # A black or plain frame has almost no spread and few colours.
        assert frames.std() > 15
        assert len(np.unique(frames.reshape(-1, 3), axis=0)) > 50

    worlds.close()


@pytest.mark.parametrize("name", ["overview", "wrist", "hall"])
def test_every_camera_sees_something(camera: Camera, name: str) -> None:
    assert camera.rgb(0, name).shape == (60, 80, 3)
    assert camera.rgb(0, name).std() > 15


def test_depth_and_segmentation_are_of_one_scene(
    camera: Camera, worlds: Worlds
) -> None:
    depth = camera.depth(0, "overview")
    segmentation = camera.segmentation(0, "overview")

    assert depth.shape == (60, 80)
    assert segmentation.shape == (60, 80, 2)
    assert (depth > 0).all()

    geoms = segmentation[..., 0]
    floor = geoms == worlds.model.geom("floor").id
    totes = np.isin(geoms, geoms_of(worlds, "tote_"))

    # Both are in the picture, or the comparison below would say nothing.
    assert floor.sum() > 20
    assert totes.sum() > 20
    assert depth[totes].max() < depth[floor].max()  # totes stand above the floor


def test_depth_is_in_metres(camera: Camera, worlds: Worlds) -> None:
    """The floor's farthest seen point against the camera's own geometry."""
    data = worlds.engine.world_data(0)
    model = worlds.model
    eye = data.camera("overview").xpos.copy()
    rotation = data.camera("overview").xmat.reshape(3, 3).copy()
    depth = camera.depth(0, "overview")
    segmentation = camera.segmentation(0, "overview")
    tan = np.tan(np.deg2rad(model.camera("overview").fovy[0]) / 2)
    rows, columns = np.nonzero(segmentation[..., 0] == model.geom("floor").id)

    # Cast a ray through each pixel's middle, in a picture of 60 x 80, and walk along it
    # by the depth: it must end on the floor.
    for row, column in list(zip(rows, columns, strict=True))[::40]:
        ray = np.array(
            [(column + 0.5 - 40) / 30 * tan, (30 - row - 0.5) / 30 * tan, -1.0]
        )
        point = eye + rotation @ ray * depth[row, column]
        assert point[2] == pytest.approx(0, abs=0.02)


def test_colours_and_words_agree() -> None:
    """Seen from above, the named tote has the colour that the instruction says."""
    worlds = started_worlds(6, level="L1")
    look = Camera(worlds.engine, 120, 120)

    for world in range(6):
        named = int(worlds.task.memory()["tote"][world])
        word = next(
            colour
            for colour in COLOURS
            if f" {colour} tote" in worlds.instructions[world]
        )
        on_tote = np.isin(
            look.segmentation(world, "overview")[..., 0],
            geoms_of(worlds, f"tote_{named}_"),
        )
        mean = look.rgb(world, "overview")[on_tote].mean(axis=0)

        # Compare chromaticities, because light and shadow change the brightness. Two
        # colours may lie close to each other in this light.
        hue = {
            colour: np.linalg.norm(mean / mean.sum() - np.array(rgb) / sum(rgb))
            for colour, rgb in COLOURS.items()
        }
        nearest = sorted(hue, key=lambda colour: hue[colour])[:2]
        assert word in nearest, f"{word} looks like {nearest}"

    look.close()


def test_worlds_look_different_and_each_as_itself(worlds: Worlds) -> None:
    pixels = worlds.observe().pixels
    for frames in pixels.values():
        assert (frames[0] != frames[1]).mean() > 0.005
    alone = started_worlds(
        1, 1, level="L1", obs="both", image_size=SIZE, cameras=("overview", "wrist")
    )
    assert (alone.observe().pixels["overview"][0] == pixels["overview"][1]).all()
    alone.close()


@pytest.mark.parametrize(
    "factor",
    [
        "brightness",
        "lamp_tilt",
        "floor_shade",
        "camera_shift",
        "camera_fovy",
        "pixel_noise",
    ],
)
def test_each_visible_variable_is_seen(factor: str) -> None:
    variable = next(row for row in get_task("ToteTransfer").table if row.name == factor)
    frames = []
    for value in (variable.start.values[0], variable.held_out.high):
        made = started_worlds(
            1, level="L1", obs="pixels", image_size=SIZE, factors={factor: value}
        )
        frames.append(made.observe().pixels["overview"][0].astype(int))
        made.close()
    assert np.abs(frames[0] - frames[1]).mean() > 0.5


def test_pixel_noise_repeats_with_the_seed_and_differs_between_frames() -> None:
    worlds = started_worlds(
        2, level="L1", obs="pixels", image_size=SIZE, factors={"pixel_noise": 5.0}
    )

    def frames() -> list[np.ndarray]:
        worlds.reset(np.arange(2), [3, 3])
        rows = []
        for _ in range(3):
            rows.append(worlds.observe().pixels["overview"].astype(int))
            worlds.step(idle_action(worlds))
        return rows

    first = frames()
    again = frames()
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (first[0][0] == first[0][1]).all()  # the same seed in both worlds
    difference = first[1] - first[2]
    # two draws of 5 levels, where nothing but noise has changed
    assert 4 < difference.std() < 9
    worlds.close()


@pytest.fixture
def blind(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> Worlds:
    """Worlds whose cameras render nothing, for tests of when they would."""
    monkeypatch.setattr(
        cameras.Camera,
        "rgb",
        lambda self, world, camera: np.zeros((16, 16, 3), np.uint8),
    )
    return worlds


def frame_ticks(worlds: Worlds, hz: float | None, step: int, steps: int) -> list[int]:
    """Returns the ticks at which world 0's frames are taken.

    Control steps have `step` ticks. World 1 began a step later.
    """
    feed = CameraFeed(Frames(worlds.engine, ("overview",), 16), 2, hz)
    ticks = []
    for k in range(steps):
        tick = np.array([k * step, max(0, k - 1) * step])
        if k == 1:
            feed.reset(np.array([1]))
        feed.update(tick, np.zeros(2), np.zeros(2, np.int64))
        ticks.append(int(feed.newest()[1][0]))

    feed.close()
    return list(dict.fromkeys(ticks))


@pytest.mark.parametrize("hz", [7, 8, 9, 10, 30])
def test_frame_k_is_taken_at_the_first_tick_at_or_after_its_time(
    blind: Worlds, hz: int
) -> None:
    """Exactly, over a hundred seconds: nothing drifts."""
    seconds = 100
    ticks_taken = frame_ticks(blind, hz, 1, seconds * PHYSICS_HZ)
    assert ticks_taken == [-(-k * PHYSICS_HZ // hz) for k in range(seconds * hz)]


@pytest.mark.parametrize("step", [2, 20])
@pytest.mark.parametrize("hz", [7, 8, 9, 10])
def test_with_slower_control_frames_wait_for_the_next_step(
    blind: Worlds, hz: int, step: int
) -> None:
    ticks_taken = frame_ticks(blind, hz, step, 100 * PHYSICS_HZ // step)
    due = [-(-k * PHYSICS_HZ // hz) for k in range(100 * hz)]
    assert ticks_taken == [
        -(-tick // step) * step
        for tick in due
        if -(-tick // step) * step < 100 * PHYSICS_HZ
    ]


def test_without_a_rate_each_step_has_its_frame(blind: Worlds) -> None:
    assert frame_ticks(blind, None, 20, 50) == list(range(0, 1000, 20))
    # faster than control: one each step
    assert frame_ticks(blind, 30, 20, 50) == list(range(0, 1000, 20))


def test_worlds_have_their_own_clocks(worlds: Worlds) -> None:
    two_worlds = started_worlds(2, level="L1", obs="pixels", image_size=16, camera_hz=8)
    two_worlds.observe()
    # World 1 begins anew two steps later than world 0, between two frames of the
    # camera.
    for _ in range(2):
        two_worlds.step(idle_action(two_worlds))
    two_worlds.reset(np.array([1]), [7])

    assert two_worlds.observe().pixels_tick.tolist() == [0, 0]

    two_worlds.step(idle_action(two_worlds))
    observation = two_worlds.observe()

    assert observation.tick.tolist() == [60, 20]
    assert observation.pixels_tick.tolist() == [60, 0]

    two_worlds.close()


def test_frames_given_out_never_change() -> None:
    worlds = started_worlds(2, level="L2", obs="pixels", image_size=SIZE, camera_hz=8)

    # Copies are taken at once; the frames that were given out must still equal them
    # after later frames and a reset.
    observations = [worlds.observe()]
    copies = [observations[0].pixels["overview"].copy()]

    for action in random_actions(worlds, 8):
        worlds.step(action)
        observations.append(worlds.observe())
        copies.append(observations[-1].pixels["overview"].copy())

    worlds.reset(np.array([0]), [9])
    worlds.observe()

    assert all(
        (observation.pixels["overview"] == copy).all()
        for observation, copy in zip(observations, copies, strict=True)
    )
    # The pictures did change meanwhile.
    assert (copies[0] != copies[-1]).any()

    worlds.close()


@pytest.mark.slow
@every_pair
def test_a_moment_renders_to_the_frames_it_stands_for(task: str, robot: str) -> None:
    """In other worlds, bit for bit, with noise and all that the episode varies."""
    settings = {"task": task, "robot": robot, "level": "L4", "obs": "pixels"}
    rendering, deferring, elsewhere = (
        started_worlds(1, first_seed=seed, image_size=32, **settings)
        for seed in (5, 5, 6)
    )
    deferring.defer_frames()
    frames = Frames(elsewhere.engine, elsewhere.cameras, 32)

    shown = []
    for action in random_actions(rendering, 5):
        expected = rendering.observe()
        observed = deferring.observe()
        # the moments are rendered after the world has moved on
        shown.append((expected.pixels, observed.pixels[MOMENT]))
        assert observed.pixels_tick == expected.pixels_tick
        rendering.step(action)
        deferring.step(action)

    for expected_pixels, [moment] in shown:
        pixels = frames_of(moment, elsewhere.engine, frames)
        assert pixels.keys() == expected_pixels.keys()
        for name, frame in expected_pixels.items():
            np.testing.assert_array_equal(pixels[name], frame)
    # the pictures did change meanwhile
    name = rendering.cameras[0]
    assert (shown[0][0][name] != shown[-1][0][name]).any()

    frames.close()
    for worlds in (rendering, deferring, elsewhere):
        worlds.close()


def test_worlds_without_cameras_have_no_moments() -> None:
    worlds = started_worlds(1, level="L1")
    worlds.defer_frames()
    assert not worlds.observe().pixels
    worlds.close()


def test_unknown_cameras_are_named(worlds: Worlds) -> None:
    with pytest.raises(
        EmbodiedError, match="unknown camera 'front'.*hall, overview, wrist"
    ):
        worlds.render(0, "front")


def test_pictures_for_people_are_better_and_of_any_size(worlds: Worlds) -> None:
    fine = worlds.render(1, "hall", (240, 320))
    plain = Camera(worlds.engine, 240, 320)
    assert fine.shape == (240, 320, 3)
    difference = np.abs(fine.astype(int) - plain.rgb(1, "hall")).mean()
    assert 1 < difference < 60  # shadows and smooth edges, of the same scene
    plain.close()


def test_a_closed_camera_opens_again(worlds: Worlds) -> None:
    camera = Camera(worlds.engine, 32, 32)
    first = camera.rgb(0, "wrist")
    camera.close()
    camera.close()
    assert (camera.rgb(0, "wrist") == first).all()
    camera.close()
