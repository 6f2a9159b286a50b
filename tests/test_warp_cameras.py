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

from embodied.envs.registry import get_task, warp_tasks
from embodied.envs.warp.worlds import WarpWorlds
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.sim.cameras import DECOR_GROUP, Camera
from embodied.sim.warp.cameras import WarpCameras
from tests.ground import TOTE_TRANSFER, env_config, image_distance, started_worlds

pytestmark = pytest.mark.slow

SIZE = 64
ON_CPU = {"engine": "warp", "device": "cpu"}
CASES = [
    *[(task, get_task(task).default_robot) for task in warp_tasks()],
    (TOTE_TRANSFER, "wheeled_arm"),
]


@dataclass
class CameraPair:
    """The same worlds on both engines, and cameras that look at them."""

    host: Worlds
    device: WarpWorlds
    on_warp: WarpCameras
    on_cpu: Camera

    @property
    def views(self) -> list[tuple[int, str]]:
        return [
            (world, name)
            for world in range(self.host.num_worlds)
            for name in self.on_warp.cameras
        ]

    def render(self) -> None:
        """Takes over what was written, on both engines, and renders those of Warp."""
        self.host.engine.refresh(np.arange(self.host.num_worlds))
        self.device.engine.refresh()
        self.on_warp.render()

    def far_enough(self, world: int, name: str) -> np.ndarray:
        """(H, W) of pixels that the CPU's near plane does not cut."""
        model = self.host.model
        near_m = model.vis.map.znear * model.stat.extent
        depth_m: np.ndarray = self.on_warp.depth(name)[world].numpy()
        return depth_m > near_m


def camera_pair(
    task: str, robot: str, num: int = 2, height: int = SIZE, width: int = SIZE
) -> CameraPair:
    settings = {"task": task, "robot": robot, "level": "L3"}
    host = started_worlds(num, **settings)
    device = WarpWorlds(env_config(**settings, **ON_CPU), num, num, "cpu")
    device.reset()
    names = tuple(host.model.camera(i).name for i in range(host.model.ncam))
    on_warp = WarpCameras(device.engine, names, height, width, geometry=True)
    on_warp.render()
    return CameraPair(host, device, on_warp, Camera(host.engine, height, width))


@pytest.fixture(scope="module")
def tote() -> Iterator[CameraPair]:
    pair = camera_pair(TOTE_TRANSFER, "arm", height=48, width=64)
    yield pair
    pair.on_cpu.close()


@pytest.mark.parametrize(("task", "robot"), CASES)
def test_they_show_what_the_cpu_shows(task: str, robot: str) -> None:
    """Closer by far than upside down, mirrored, shifted, in other colours, of another
    camera or another world.
    """
    pair = camera_pair(task, robot)
    cpu_images = {view: pair.on_cpu.rgb(*view) for view in pair.views}
    for (world, name), expected in cpu_images.items():
        image = pair.on_warp.rgb(name)[world].numpy()
        far = pair.far_enough(world, name)
        distance = image_distance(image[far], expected[far])
        # PanelReset, whose plates have large black letters, comes to 4.2
        assert distance < 4.5, (world, name)

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
        # GaugeCheck's two worlds look much alike from afar: 0.48
        assert distance < 0.5 * nearest, (world, name)

    pair.on_cpu.close()


@pytest.mark.parametrize(("task", "robot"), CASES)
def test_things_depth_and_segmentation_are_the_cpus(task: str, robot: str) -> None:
    pair = camera_pair(task, robot)
    for world in range(2):
        data = pair.host.engine.world_data(world)
        np.testing.assert_allclose(
            pair.device.engine.view("geom_xpos")[world], data.geom_xpos, atol=1e-4
        )

    for world, name in pair.views:
        far = pair.far_enough(world, name)
        depth_m = pair.on_warp.depth(name)[world].numpy()
        expected_m = pair.on_cpu.depth(world, name)
        is_near = np.abs(depth_m - expected_m) < 0.005 + 0.005 * expected_m
        assert is_near[far].mean() > 0.99, (world, name)

        objects = pair.on_warp.segmentation(name)[world].numpy()
        expected = pair.on_cpu.segmentation(world, name)
        is_same = (objects == expected).all(axis=-1)
        assert is_same[far].mean() > 0.98, (world, name)

        # decor is for pictures that people look at
        geoms = objects[objects[..., 0] >= 0][:, 0]
        assert not (pair.host.model.geom_group[geoms] == DECOR_GROUP).any()
    pair.on_cpu.close()


def test_frames_are_of_the_size_that_was_asked_for(tote: CameraPair) -> None:
    assert tote.on_warp.rgb("hall").shape == (2, 48, 64, 3)
    assert tote.on_warp.rgb("hall").dtype == torch.uint8
    assert tote.on_warp.depth("hall").shape == (2, 48, 64)
    assert tote.on_warp.segmentation("hall").shape == (2, 48, 64, 2)
    # Of the second world, because the first alone could be any camera's default.
    assert (
        image_distance(tote.on_warp.rgb("hall")[1].numpy(), tote.on_cpu.rgb(1, "hall"))
        < 2
    )

    with pytest.raises(
        EmbodiedError, match="unknown camera 'front'.*hall, overview, wrist"
    ):
        WarpCameras(tote.device.engine, ("front",), 16, 16)


def _colour(model: Any, model_view: Callable[[str], Any]) -> None:
    model_view("geom_rgba")[1, model.geom("floor").id, :3] *= 0.5


def _hide(model: Any, model_view: Callable[[str], Any]) -> None:
    model_view("geom_rgba")[1, model.geom("floor").id, 3] = 0.0


def _light(model: Any, model_view: Callable[[str], Any]) -> None:
    model_view("light_diffuse")[1] *= 0.5


def _shift(model: Any, model_view: Callable[[str], Any]) -> None:
    model_view("cam_pos")[1, model.camera("hall").id, 2] += 0.1


def _zoom(model: Any, model_view: Callable[[str], Any]) -> None:
    model_view("cam_fovy")[1, model.camera("hall").id] -= 5.0


@pytest.mark.parametrize("change", [_colour, _hide, _light, _shift, _zoom])
def test_what_a_world_differs_in_is_seen_in_it_alone(
    tote: CameraPair, change: Callable[..., None]
) -> None:
    """And it looks as on the CPU when the same is done there."""
    before = tote.on_warp.rgb("hall").clone()
    originals = []
    for worlds in (tote.host, tote.device):
        varied = worlds.engine.model_views()
        copies = {name: np.asarray(values).copy() for name, values in varied.items()}
        originals.append(copies)

    for worlds in (tote.host, tote.device):
        change(tote.host.model, worlds.engine.model_view)
    tote.render()
    after = tote.on_warp.rgb("hall").clone()
    assert torch.equal(after[0], before[0])
    assert image_distance(after[1].numpy(), before[1].numpy()) > 2
    assert image_distance(after[1].numpy(), tote.on_cpu.rgb(1, "hall")) < 2

    # all is put back, for the tests that follow
    for worlds, fields in zip((tote.host, tote.device), originals, strict=True):
        for name, values in fields.items():
            worlds.engine.model_view(name)[...] = worlds.engine.xp.asarray(values)
    tote.render()
    assert torch.equal(tote.on_warp.rgb("hall"), before)


def test_rendering_can_be_captured(tote: CameraPair) -> None:
    """A graph that was captured once shows the worlds as they are when it is launched."""
    engine = tote.device.engine
    before = tote.on_warp.rgb("hall").clone()
    with warp.ScopedCapture(device="cpu") as captured:
        tote.on_warp.render()

    engine.view("qpos")[:, 3] += 0.3
    engine.refresh()
    warp.capture_launch(captured.graph)
    launched = tote.on_warp.rgb("hall").clone()
    depth_m = tote.on_warp.depth("hall").clone()
    tote.on_warp.render()

    assert torch.equal(launched, tote.on_warp.rgb("hall"))
    assert torch.equal(depth_m, tote.on_warp.depth("hall"))
    assert (launched != before).flatten(1).any(1).all()

    # all is put back
    engine.view("qpos")[:, 3] -= 0.3
    engine.refresh()
    tote.on_warp.render()
