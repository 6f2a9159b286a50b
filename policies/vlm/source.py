"""The policy `transformers:FOLDER`: a vision-language model plans, a controller acts.

The model's answers are goals, to which the goal servo moves the robot. With a head, the
model's hidden states are mapped to latents, on which the controller of a run acts.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from embodied.core import PolicySpec
from embodied.envs.registry import get_robot, get_task
from embodied.envs.task import TaskSpec
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.assembly import dual_system
from embodied.policies.custom import goal_servo
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.episodes import env_config_for
from embodied.policies.vla.agents import ChunkController
from embodied.policies.vla.run_folder import VLARun, load_net
from embodied.policies.vlm.folder import asked_hash, check_folder, load_model
from embodied.policies.vlm.form import PlanForm
from embodied.policies.vlm.head import Head, HeadInfo, read_head
from embodied.policies.vlm.planner import AnsweringPlanner, LatentPlanner
from embodied.policies.vlm.questions import Questions
from embodied.policies.vlm.settings import Settings, read_settings
from embodied.policies.vlm.teaching import open_teacher
from embodied.robots.robot import Robot

CONTROL_HZ = 200  # the control rate of the goal servo


@dataclass(frozen=True)
class AnsweringSource:
    """The source of a policy whose planner answers with a subtask and goals."""

    settings: Settings

    trained_for = None

    @property
    def planner_hz(self) -> float:
        return self.settings.planner_hz

    @cached_property
    def weights_hash(self) -> str:
        return asked_hash(self.settings)

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        task_spec = get_task(task)
        spec = self._spec(task_spec, get_robot(robot or task_spec.default_robot))
        _make_once(self, spec, task, robot)
        return spec

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> DualSystem:
        settings = self.settings
        spec = self._spec(worlds.spec, worlds.robot)
        form = PlanForm(worlds.robot, worlds.agent_layout, settings.form)
        model = load_model(settings.folder, settings.device)
        questions = Questions(model, form, settings.prompt, spec.cameras)
        return dual_system(
            worlds,
            AnsweringPlanner(model, form, questions, image_size=settings.image_size),
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


@dataclass(frozen=True)
class LatentSource:
    """The source of a policy whose planner gives latents, with a head.

    Attributes:
        settings: the model, and how it is asked.
        head: maps the model's hidden states to latents.
        run: the run whose latents the head predicts, and whose controller acts.
    """

    settings: Settings
    head: Head
    run: VLARun

    trained_for = None

    @property
    def planner_hz(self) -> float:
        return self.settings.planner_hz

    @cached_property
    def weights_hash(self) -> str:
        digest = hashlib.sha256(asked_hash(self.settings).encode())
        digest.update(self.run.weights_hash.encode())
        for name in sorted(vars(self.head)):
            digest.update(getattr(self.head, name).tobytes())
        return digest.hexdigest()

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        spec = self.run.spec(task, robot)
        _make_once(self, spec, task, robot)
        return spec

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> DualSystem:
        # the run's networks: the planner decodes latents, and the controller acts on them
        settings = self.settings
        info = self.run.info
        info.check_worlds(self.run.folder, worlds)
        net = load_net(self.run.folder)

        # the model, which gets the images that the run's planner would get
        form = PlanForm(worlds.robot, worlds.agent_layout, settings.form)
        model = load_model(settings.folder, settings.device)
        questions = Questions(model, form, settings.prompt, info.spec.cameras)
        planner = LatentPlanner(
            model,
            questions,
            self.head,
            net=net.planner,
            image_size=info.spec.image_size,
        )
        return dual_system(
            worlds,
            planner,
            ChunkController(net, info.spec),
            spec=info.spec,
            config=dual or DualSystemConfig(planner_hz=settings.planner_hz),
        )


def _make_once(
    source: AnsweringSource | LatentSource,
    spec: PolicySpec,
    task: str,
    robot: str | None,
) -> None:
    """Makes a policy in a world of its task, to raise errors before an evaluation begins."""
    config = env_config_for(spec, task, level="L1", split="train", robot=robot)
    with closing(Worlds(config)) as worlds:
        source.make(worlds)


def open_transformers(location: str) -> AnsweringSource | LatentSource:
    """Returns the source of `transformers:FOLDER` or `transformers:FILE.toml`.

    Raises:
        EmbodiedError: the folder has no model, the file is wrong, or the head that the
            file names was fitted to another model, question or run.
    """
    settings = read_settings(location)
    check_folder(settings.folder)
    if settings.head is None:
        return AnsweringSource(settings)

    # a head fits only the model, question and run that it was fitted to
    head, info = read_head(settings.head)
    run = open_teacher(Path(info.run))
    _check_head(settings, settings.head, info, run=run)
    latent_size = load_net(run.folder).planner.plan_shape.latent
    if len(head.bias) != latent_size:
        raise EmbodiedError(
            f"the head in {settings.head} makes {len(head.bias)} numbers, but a latent "
            f"of {run.folder} has {latent_size}"
        )
    return LatentSource(settings, head, run)


def _check_head(settings: Settings, folder: Path, info: HeadInfo, run: VLARun) -> None:
    """Raises EmbodiedError if a head was fitted to another model, question or run.

    Args:
        settings: the model, and how it is asked.
        folder: the folder of the head, for error messages.
        info: the info of the head.
        run: the run whose latents the head predicts.
    """
    remedy = "fit it again with `embodied fit-head`"
    if info.asked != asked_hash(settings):
        raise EmbodiedError(
            f"the head in {folder} was fitted to another model or another question "
            f"(prompt, subtasks, bins, box_m): {remedy}"
        )
    if info.run_weights != run.weights_hash:
        raise EmbodiedError(
            f"the head in {folder} was fitted to {info.run}, which has other weights "
            f"now: {remedy}"
        )
