"""Fits a head: a run's policy drives, and a model gets what the run's planner sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from embodied.core import Array, Observation
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.plan import Payload, Planner
from embodied.policies.assembly import dual_system
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.episodes import env_config_for
from embodied.policies.registry import find_policy
from embodied.policies.vla.agents import ChunkController, VLAPlanner
from embodied.policies.vla.run_folder import VLARun, load_net
from embodied.policies.vlm.folder import Model, asked_hash, load_model
from embodied.policies.vlm.form import PlanForm
from embodied.policies.vlm.head import Head, HeadInfo, fit_head
from embodied.policies.vlm.planner import hidden_state
from embodied.policies.vlm.questions import Questions
from embodied.policies.vlm.settings import Settings
from embodied.rollout.rollout import rollout

HELD_OUT_SHARE = 0.2  # of the episodes


class WatchedPlanner:
    """A run's planner that also keeps the hidden state of a model at each plan.

    Attributes:
        hidden: for each plan, the model's hidden state (H,).
        latent: for each plan, its latent (L,).
        seeds: for each plan, the seed of its episode.

    Args:
        planner: the run's planner, whose plans are used.
        model: the model.
        questions: makes the model's inputs.
    """

    def __init__(self, planner: Planner, model: Model, questions: Questions) -> None:
        """Begins without plans."""
        self.plan_shape = planner.plan_shape
        self._planner = planner
        self._model = model
        self._questions = questions
        self._seed_of_world: dict[int, int] = {}
        self.hidden: list[np.ndarray] = []
        self.latent: list[np.ndarray] = []
        self.seeds: list[int] = []

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        self._planner.reset(ids, seeds)
        self._seed_of_world |= dict(zip(np.asarray(ids).tolist(), seeds, strict=True))

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns the planner's plans for worlds `ids`, and keeps the hidden states."""
        payload = self._planner.plan(observation, ids)
        for k, inputs in enumerate(self._questions.inputs(observation)):
            self.hidden.append(hidden_state(self._model, inputs))
            self.latent.append(np.array(payload.latent[k]))
            self.seeds.append(self._seed_of_world[int(ids[k])])
        return payload


def open_teacher(folder: Path) -> VLARun:
    """Returns a run whose planner has latents.

    Raises:
        EmbodiedError: the folder has no such run.
    """
    run = find_policy(str(folder))
    if not isinstance(run, VLARun):
        raise EmbodiedError(
            f"{folder} has no planner with latents: give a run that `embodied train` "
            "trained on demonstrations"
        )
    return run


def teach_head(
    run: VLARun,
    settings: Settings,
    level: str,
    seeds: Sequence[int],
    num_envs: int,
    on_used: Callable[[int], None],
) -> tuple[Head, HeadInfo]:
    """Returns a head that predicts the latents of a run's planner, and its info.

    The run's policy drives in some episodes. The head is fitted to all but the last fifth of
    them, which is held out to measure how well the head predicts.

    Args:
        run: the run.
        settings: the model, and how it is asked.
        level: the level of variation.
        seeds: the seeds of the episodes, at least 2.
        num_envs: the number of worlds that run at the same time.
        on_used: a function that is called with 1 after each episode.

    Raises:
        EmbodiedError: the model cannot be asked, or there are too few episodes.
    """
    info = run.info
    task = _only_task(run)
    num_held_out = max(1, round(HELD_OUT_SHARE * len(seeds)))
    if num_held_out >= len(seeds):
        raise EmbodiedError(f"a head needs at least 2 episodes, not {len(seeds)}")

    model = load_model(settings.folder, settings.device)
    net = load_net(run.folder)
    config = env_config_for(info.spec, task, level, split="train", robot=info.robot)
    with closing(Worlds(config, min(num_envs, len(seeds)))) as worlds:
        form = PlanForm(worlds.robot, worlds.agent_layout, settings.form)
        questions = Questions(model, form, settings.prompt, info.spec.cameras)
        questions.check(info.spec.image_size, answer_tokens=0)
        planner = WatchedPlanner(VLAPlanner(net), model, questions)
        controller = ChunkController(net, info.spec)
        timing = DualSystemConfig(planner_hz=info.planner_hz)
        policy = dual_system(worlds, planner, controller, spec=info.spec, config=timing)
        rollout(worlds, policy, seeds, on_result=lambda _: on_used(1))

    # Sort the plans by the seeds of their episodes. Their order then does not depend on how
    # many worlds ran at the same time.
    order = np.argsort(planner.seeds, kind="stable")
    hidden = np.stack(planner.hidden)[order]
    latent = np.stack(planner.latent)[order]
    is_held_out = np.isin(np.array(planner.seeds)[order], seeds[-num_held_out:])
    head, ridge, explained = fit_head(hidden, latent, is_held_out)
    return head, HeadInfo(
        asked=asked_hash(settings),
        run=str(run.folder.resolve()),
        run_weights=run.weights_hash,
        ridge=ridge,
        explained=explained,
        fitted=int((~is_held_out).sum()),
        held_out=int(is_held_out.sum()),
    )


def _only_task(run: VLARun) -> str:
    """Returns the task of a run; raises EmbodiedError if it learned several."""
    tasks = run.info.tasks
    if len(tasks) > 1:
        raise EmbodiedError(
            f"a head is fitted to a run of one task, but {run.folder} was trained for "
            f"{' and '.join(tasks)}"
        )
    return tasks[0]
