"""Policies by name: the expert, the ones that know nothing, and what was trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embodied.core import Observation, Policy, PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError, unknown
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.noise import NoisyPolicy
from embodied.policies.simple import HoldPolicy, RandomPolicy
from embodied.rollout.rollout import EpisodeResult, Hook, rollout

if TYPE_CHECKING:
    from embodied.policies.rl.run_folder import ActorInfo
    from embodied.policies.vla.run_folder import RunInfo

BUILT_IN = {
    "expert": "scripted planner and skill controller, sees the privileged state",
    "random": "uniform actions",
    "hold": "stays where the episode began",
}
PLANNER_HZ = 8.0  # of the expert


def has_planner(source: str) -> bool:
    """Whether rates and delays of a planner mean anything to a policy."""
    return source not in ("random", "hold")


def planner_hz(source: str) -> float | None:
    """The rate at which a policy plans unless told otherwise; None where it does not
    plan.
    """
    if source in BUILT_IN:
        return PLANNER_HZ if has_planner(source) else None
    return _read_run(source).planner_hz


def learned_by_trial(source: str) -> tuple[str, str] | None:
    """Stage (empty: the whole task) and level that a run by trial learned; None for any
    other policy.
    """
    if source in BUILT_IN:
        return None
    run = _read_run(source)
    from embodied.policies.rl.run_folder import ActorInfo

    return (
        (run.stage, run.metadata["config"]["level"])
        if isinstance(run, ActorInfo)
        else None
    )


def weights_hash(source: str) -> str:
    """SHA-256 of all weights in a run folder, a base's too; empty for a policy that was
    not trained.
    """
    if source in BUILT_IN:
        return ""
    digest = hashlib.sha256()
    for path in sorted(Path(source).rglob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def policy_spec(source: str, task: str, robot: str | None = None) -> PolicySpec:
    """What a policy needs of the worlds it acts in.

    Raises:
        EmbodiedError: no such policy (lists what exists), or a run of another task or
            robot.
    """
    if source == "expert":
        return _expert(Worlds(EnvConfig(task, robot=robot)), DualSystemConfig()).spec
    if source in BUILT_IN:
        Worlds(EnvConfig(task, robot=robot))  # so that a wrong name shows here
        return PolicySpec()
    run = _read_run(source)
    worlds = Worlds(EnvConfig(task, robot=robot, control_mode=run.spec.control_mode))
    # so that wrong weights show here, before anything is measured
    make_policy(source, worlds)
    return run.spec


def env_config(
    spec: PolicySpec, task: str, level: str, split: str, robot: str | None = None
) -> EnvConfig:
    """Worlds as a policy needs them, on one thread."""
    return EnvConfig(
        task=task,
        robot=robot,
        obs=("both" if spec.privileged else "pixels") if spec.cameras else "state",
        control_mode=spec.control_mode,
        control_hz=spec.control_hz,
        cameras=spec.cameras,
        camera_hz=spec.camera_hz,
        image_size=spec.image_size,
        level=level,
        split=split,
        num_threads=1,
    )


def make_policy(
    source: str, worlds: Worlds, dual: DualSystemConfig | None = None
) -> Policy:
    """A policy for these worlds: `expert`, `random`, `hold`, or the path of a run
    folder.

    `dual` says when plans are made and how they travel; without it there is no delay.

    Raises:
        EmbodiedError: no such policy (lists what exists), or a run of another task,
            robot or observation.
    """
    if source == "expert":
        return _expert(worlds, dual or DualSystemConfig(planner_hz=PLANNER_HZ))
    if source == "random":
        return RandomPolicy(len(worlds.interface.low))
    if source == "hold":
        return HoldPolicy(_at_rest(len(worlds.interface.low)))
    run = _read_run(source)
    _check_run(source, run, worlds)
    from embodied.policies.rl.residual import ResidualPolicy
    from embodied.policies.rl.run_folder import ActorInfo, base_source, load_actor
    from embodied.policies.vla.run_folder import load_policy

    if not isinstance(run, ActorInfo):
        return load_policy(Path(source), dual)
    actor = load_actor(Path(source), run)
    if run.residual is None:
        return actor
    return ResidualPolicy(
        make_policy(base_source(Path(source), run.residual), worlds, dual),
        actor,
        run.residual,
    )


@dataclass(frozen=True)
class Player:
    """A policy and the worlds it acts in: all that a process needs to run episodes."""

    source: str  # as `make_policy` knows it
    config: EnvConfig
    dual: DualSystemConfig | None = None
    num_envs: int = 16  # worlds at once
    noise: float = 0.0  # standard deviation of the disturbance of its actions

    def __post_init__(self) -> None:
        if self.num_envs < 1:
            raise EmbodiedError(
                f"the number of worlds at once must be at least 1, not {self.num_envs}"
            )
        if not 0 <= self.noise <= 1:
            raise EmbodiedError(
                f"the action noise must be from 0 to 1, as actions are from -1 to 1, not {self.noise}"
            )

    def play(
        self,
        seeds: Sequence[int],
        hooks: Sequence[Hook] = (),
        on_result: Callable[[EpisodeResult], None] | None = None,
    ) -> list[EpisodeResult]:
        """Runs an episode a seed; see `rollout`."""
        worlds = Worlds(self.config, min(self.num_envs, len(seeds)))
        try:
            policy = make_policy(self.source, worlds, self.dual)
            if self.noise:
                policy = NoisyPolicy(policy, self.noise)
            return rollout(worlds, policy, seeds, hooks, on_result)
        finally:
            worlds.close()


def _expert(worlds: Worlds, dual: DualSystemConfig) -> DualSystem:
    planner, controller = worlds.spec.expert(
        worlds.agent_layout, worlds.state_layout, worlds.robot
    )
    return DualSystem(
        planner, controller, dual, spec=replace(controller.spec, privileged=True)
    )


def _at_rest(action_size: int) -> Callable[[Observation], np.ndarray]:
    """No motion and an open gripper, for modes that command changes."""

    def hold_action(observation: Observation) -> np.ndarray:
        action = np.zeros((len(observation.tick), action_size), np.float32)
        action[:, -1] = 1
        return action

    return hold_action


def _read_run(source: str) -> RunInfo | ActorInfo:
    from embodied.policies.rl.run_folder import KIND, read_actor_info
    from embodied.policies.run_folder import INFO, read_info
    from embodied.policies.vla.run_folder import RunInfo

    if not Path(source).exists():
        runs = [str(path.parent) for path in Path("runs").glob(f"*/{INFO}")]
        raise unknown("policy", source, [*BUILT_IN, *runs])
    stored = read_info(Path(source))
    try:
        return (
            read_actor_info(stored)
            if stored.get("kind") == KIND
            else RunInfo.from_json(stored)
        )
    except (KeyError, TypeError, ValueError) as error:
        raise EmbodiedError(
            f"{Path(source) / INFO} is damaged: {type(error).__name__} {error}"
        ) from error


def _check_run(source: str, run: RunInfo | ActorInfo, worlds: Worlds) -> None:
    now = json.loads(json.dumps(worlds.metadata()))
    for what, trained_for, given in (
        ("task", run.task, now["task"]),
        ("robot", run.robot, now["robot"]),
        ("proprioception", run.metadata["agent_layout"], now["agent_layout"]),
        ("actions", run.metadata["action_interface"], now["action_interface"]),
    ):
        if trained_for != given:
            raise EmbodiedError(
                f"run {source} was trained for {what} {_brief(trained_for)}, not {_brief(given)}"
            )


def _brief(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
