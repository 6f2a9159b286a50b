"""Worlds of one task and robot share the work of compiling a model, not the model."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from embodied.envs.models import compiled_model
from embodied.envs.registry import get_robot, get_task
from embodied.envs.task import TaskSpec
from embodied.envs.worlds import Worlds
from embodied.robots.robot import Robot
from embodied.sim.model_facts import model_hash
from tests.ground import env_config, every_pair, random_actions, started_worlds


class Counting:
    """Builds a scene, and counts how often."""

    def __init__(self, spec: TaskSpec) -> None:
        self._spec = spec
        self.count = 0

    def __call__(self, robot: Robot) -> mujoco.MjSpec:
        self.count += 1
        return self._spec.build(robot)


@pytest.fixture
def build() -> Counting:
    return Counting(get_task("ToteTransfer"))


def test_a_scene_is_compiled_once_for_each_robot(build: Counting) -> None:
    spec = replace(get_task("ToteTransfer"), build=build)
    arm = get_robot("arm")
    first = compiled_model(spec, arm)
    again = compiled_model(replace(spec, horizon_s=1.0), arm)
    assert build.count == 1
    assert model_hash(first) == model_hash(again)

    other = compiled_model(spec, get_robot("wheeled_arm"))
    assert build.count == 2
    assert model_hash(other) != model_hash(first)


def test_a_robot_of_the_callers_own_has_a_model_of_its_own(build: Counting) -> None:
    spec = replace(get_task("ToteTransfer"), build=build)
    arm = get_robot("arm")
    compiled_model(spec, arm)
    compiled_model(spec, replace(arm, name="my_arm"))
    assert build.count == 2


def test_what_is_written_to_a_model_stays_there(build: Counting) -> None:
    spec = replace(get_task("ToteTransfer"), build=build)
    arm = get_robot("arm")
    written = compiled_model(spec, arm)
    before = model_hash(written)
    written.geom_friction[:] = 0.0
    assert model_hash(written) != before
    assert model_hash(compiled_model(spec, arm)) == before


@every_pair
def test_variation_writes_nothing_into_the_model(task: str, robot: str) -> None:
    worlds = Worlds(env_config(task=task, robot=robot, level="L4", split="all"), 2)
    before = model_hash(worlds.model)
    worlds.reset(np.arange(2), range(2))
    for action in random_actions(worlds, 3):
        worlds.step(action)
    worlds.engine.world_model(0).geom_size[:] = 9.0
    assert model_hash(worlds.model) == before


def test_pictures_for_people_write_nothing_into_the_model() -> None:
    worlds = started_worlds(1)
    before = model_hash(worlds.model)
    worlds.render(0, worlds.spec.beauty_camera, (32, 32))
    worlds.close()
    assert model_hash(worlds.model) == before
