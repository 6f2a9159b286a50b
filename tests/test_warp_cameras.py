"""Cameras of the engine `warp`, on Warp's CPU device: the views that the CPU's cameras
have, world by world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import warp

from embodied.envs.registry import task_names
from embodied.envs.warp.worlds import WarpWorlds
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.sim.cameras import DECOR_GROUP, Camera
from embodied.sim.warp.cameras import WarpCameras
from tests.ground import TOTE_TRANSFER, env_config, image_distance, started_worlds

pytestmark = pytest.mark.slow

SIZE = 64
ON_CPU = {"engine": "warp", "device": "cpu"}
CASES = [*[(task, "arm") for task in task_names()], (TOTE_TRANSFER, "wheeled_arm")]


@dataclass
class Both:
    """The same worlds on both engines, and cameras that look at them."""

    host: Worlds
    device: WarpWorlds
    ours: WarpCameras
    theirs: Camera

    @property
    def views(self) -> list[tuple[int, str]]:
        return [
            (world, name)
            for world in range(self.host.num_worlds)
            for name in self.ours.cameras
        ]

    def render(self) -> None:
        """Takes over what was written, on both engines, and renders ours."""
        self.host.engine.refresh(np.arange(self.host.num_worlds))
        self.device.engine.refresh()
        self.ours.render()

    def far_enough(self, world: int, name: str) -> np.ndarray:
        """(H, W) of pixels that the CPU's near plane does not cut."""
        model = self.host.model
        near_m = model.vis.map.znear * model.stat.extent
        depth_m: np.ndarray = self.ours.depth(name)[world].numpy()
        return depth_m > near_m


def both(
    task: str, robot: str, num: int = 2, height: int = SIZE, width: int = SIZE
) -> Both:
    settings = {"task": task, "robot": robot, "level": "L3"}
    host = started_worlds(num, **settings)
    device = WarpWorlds(env_config(**settings, **ON_CPU), num, num, "cpu")
    device.reset()
    names = tuple(host.model.camera(i).name for i in range(host.model.ncam))
    ours = WarpCameras(device.engine, names, height, width, geometry=True)
    ours.render()
    return Both(host, device, ours, Camera(host.engine, height, width))


@pytest.fixture(scope="module")
def tote() -> Iterator[Both]:
    made = both(TOTE_TRANSFER, "arm", height=48, width=64)
    yield made
    made.theirs.close()


@pytest.mark.parametrize(("task", "robot"), CASES)
def test_they_show_what_the_cpu_shows(task: str, robot: str) -> None:
    """Closer by far than upside down, mirrored, shifted, in other colours, of another
    camera or another world.
    """
    pair = both(task, robot)
    cpu_images = {view: pair.theirs.rgb(*view) for view in pair.views}
    for (world, name), expected in cpu_images.items():
        image = pair.ours.rgb(name)[world].numpy()
        far = pair.far_enough(world, name)
        distance = image_distance(image[far], expected[far])
        assert distance < 4, (world, name)

        # Every picture that it must not be mistaken for.
        wrong = [
            expected[::-1],
            expected[:, ::-1],
            np.roll(expected, 4, 0),
            np.roll(expected, 4, 1),
            expected[..., ::-1],
        ]
        wrong += [other for view, other in cpu_images.items() if view != (world, name)]
        nearest = min(image_distance(image[far], other[far]) for other in wrong)
        assert distance < 0.4 * nearest, (world, name)

    pair.theirs.close()


@pytest.mark.parametrize(("task", "robot"), CASES)
def test_things_depth_and_segmentation_are_the_cpus(task: str, robot: str) -> None:
    pair = both(task, robot)
    for world in range(2):
        data = pair.host.engine.world_data(world)
        np.testing.assert_allclose(
            pair.device.engine.view("geom_xpos")[world], data.geom_xpos, atol=1e-4
        )

    for world, name in pair.views:
        seen = pair.far_enough(world, name)
        depth_m = pair.ours.depth(name)[world].numpy()
        expected_m = pair.theirs.depth(world, name)
        is_near = np.abs(depth_m - expected_m) < 0.005 + 0.005 * expected_m
        assert is_near[seen].mean() > 0.99, (world, name)

        objects = pair.ours.segmentation(name)[world].numpy()
        expected = pair.theirs.segmentation(world, name)
        is_same = (objects == expected).all(axis=-1)
        assert is_same[seen].mean() > 0.98, (world, name)

        # decor is for pictures that people look at
        geoms = objects[objects[..., 0] >= 0][:, 0]
        assert not (pair.host.model.geom_group[geoms] == DECOR_GROUP).any()
    pair.theirs.close()


def test_frames_are_of_the_size_that_was_asked_for(tote: Both) -> None:
    assert tote.ours.rgb("hall").shape == (2, 48, 64, 3)
    assert tote.ours.rgb("hall").dtype == torch.uint8
    assert tote.ours.depth("hall").shape == (2, 48, 64)
    assert tote.ours.segmentation("hall").shape == (2, 48, 64, 2)
    # Of the second world, because the first alone could be any camera's default.
    assert (
        image_distance(tote.ours.rgb("hall")[1].numpy(), tote.theirs.rgb(1, "hall")) < 2
    )

    with pytest.raises(
        EmbodiedError, match="unknown camera 'front'.*hall, overview, wrist"
    ):
        WarpCameras(tote.device.engine, ("front",), 16, 16)


def _colour(model: Any, vary: Callable[[str], Any]) -> None:
    vary("geom_rgba")[1, model.geom("floor").id, :3] *= 0.5


def _hide(model: Any, vary: Callable[[str], Any]) -> None:
    vary("geom_rgba")[1, model.geom("floor").id, 3] = 0.0


def _light(model: Any, vary: Callable[[str], Any]) -> None:
    vary("light_diffuse")[1] *= 0.5


def _shift(model: Any, vary: Callable[[str], Any]) -> None:
    vary("cam_pos")[1, model.camera("hall").id, 2] += 0.1


def _zoom(model: Any, vary: Callable[[str], Any]) -> None:
    vary("cam_fovy")[1, model.camera("hall").id] -= 5.0


@pytest.mark.parametrize("change", [_colour, _hide, _light, _shift, _zoom])
def test_what_a_world_differs_in_is_seen_in_it_alone(
    tote: Both, change: Callable[..., None]
) -> None:
    """And it looks as on the CPU when the same is done there."""
    before = tote.ours.rgb("hall").clone()
    kept = []
    for worlds in (tote.host, tote.device):
        varied = worlds.engine.varied()
        copies = {name: np.asarray(values).copy() for name, values in varied.items()}
        kept.append(copies)

    for worlds in (tote.host, tote.device):
        change(tote.host.model, worlds.engine.vary)
    tote.render()
    after = tote.ours.rgb("hall").clone()
    assert torch.equal(after[0], before[0])
    assert image_distance(after[1].numpy(), before[1].numpy()) > 2
    assert image_distance(after[1].numpy(), tote.theirs.rgb(1, "hall")) < 2

    # all is put back, for the tests that follow
    for worlds, fields in zip((tote.host, tote.device), kept, strict=True):
        for name, values in fields.items():
            worlds.engine.vary(name)[...] = worlds.engine.xp.asarray(values)
    tote.render()
    assert torch.equal(tote.ours.rgb("hall"), before)


def test_rendering_can_be_captured(tote: Both) -> None:
    """A graph that was captured once shows the worlds as they are when it is launched."""
    engine = tote.device.engine
    before = tote.ours.rgb("hall").clone()
    with warp.ScopedCapture(device="cpu") as captured:
        tote.ours.render()

    engine.view("qpos")[:, 3] += 0.3
    engine.refresh()
    warp.capture_launch(captured.graph)
    launched = tote.ours.rgb("hall").clone()
    depth_m = tote.ours.depth("hall").clone()
    tote.ours.render()

    assert torch.equal(launched, tote.ours.rgb("hall"))
    assert torch.equal(depth_m, tote.ours.depth("hall"))
    assert (launched != before).flatten(1).any(1).all()

    # all is put back
    engine.view("qpos")[:, 3] -= 0.3
    engine.refresh()
    tote.ours.render()
