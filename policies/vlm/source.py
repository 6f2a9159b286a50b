"""The policy `transformers:FOLDER`: a vision-language model plans, the goal servo acts."""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

from embodied.core import PolicySpec
from embodied.envs.registry import get_robot, get_task
from embodied.envs.task import TaskSpec
from embodied.envs.worlds import Worlds
from embodied.policies.assembly import dual_system
from embodied.policies.custom import goal_servo
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.episodes import env_config_for
from embodied.policies.vlm.folder import check_folder, hash_of_folder, load_model
from embodied.policies.vlm.form import PlanForm
from embodied.policies.vlm.planner import VLMPlanner
from embodied.policies.vlm.settings import Settings, read_settings
from embodied.robots.robot import Robot

CONTROL_HZ = 200  # of the goal servo


@dataclass(frozen=True)
class TransformersSource:
    """The source of a policy whose planner is a vision-language model."""

    settings: Settings

    trained_for = None

    @property
    def planner_hz(self) -> float:
        return self.settings.planner_hz

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 of the model's files, and of how it is asked."""
        asked = (self.settings.prompt.template, self.settings.form)
        content = f"{hash_of_folder(self.settings.folder)}\n{asked!r}"
        return hashlib.sha256(content.encode()).hexdigest()

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        known = get_task(task)
        spec = self._spec(known, get_robot(robot or known.default_robot))

        # make the policy once, to find early what does not fit
        config = env_config_for(spec, task, level="L1", split="train", robot=robot)
        with closing(Worlds(config)) as worlds:
            self.make(worlds)
        return spec

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> DualSystem:
        settings = self.settings
        spec = self._spec(worlds.spec, worlds.robot)
        form = PlanForm(worlds.robot, worlds.agent_layout, settings.form)
        model = load_model(settings.folder, settings.device)
        return dual_system(
            worlds,
            VLMPlanner(model, form, settings.prompt, spec.cameras, settings.image_size),
            goal_servo(worlds),
            spec=spec,
            config=dual or DualSystemConfig(planner_hz=settings.planner_hz),
        )

    def _spec(self, task: TaskSpec, robot: Robot) -> PolicySpec:
        cameras = self.settings.cameras
        if cameras is None:
            cameras = task.cameras_for(robot)
        return PolicySpec(
            control_mode="ee_delta",
            control_hz=CONTROL_HZ,
            cameras=cameras,
            camera_hz=self.settings.camera_hz,
            image_size=self.settings.image_size,
        )


def open_transformers(location: str) -> TransformersSource:
    """Returns the source of `transformers:FOLDER` or `transformers:FILE.toml`.

    Raises:
        EmbodiedError: the folder has no model, or the file is wrong.
    """
    settings = read_settings(location)
    check_folder(settings.folder)
    return TransformersSource(settings)
