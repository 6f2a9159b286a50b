"""Measures how well the engines `cpu` and `warp` agree.

Contact-free motion is compared number by number, over one second of small actions from
the same starts. Work with contacts is compared by the outcomes of the same policy from
the same starts: contacts amplify the rounding errors of single precision, so individual
episodes differ and only their statistics can agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from embodied.benchmark.code_hash import code_hash
from embodied.benchmark.gpu_throughput import device_name
from embodied.benchmark.statistics import Comparison, Rate, compare_paired, wilson
from embodied.benchmark.trials import TaskChoice
from embodied.envs.config import EnvConfig
from embodied.envs.warp import worlds as warp_worlds
from embodied.envs.warp.worlds import WarpWorlds
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.pages.subject import Pair, Subject
from embodied.policies.episodes import EpisodeRunner
from embodied.policies.registry import find_policy
from embodied.rollout import warp_rollout
from embodied.rollout.warp_rollout import play_on_warp

MOTION_S = 1.0  # duration of the compared motion
MOTION_HZ = 20  # control rate of the compared motion
MOTION_WORLDS = 2
ACTION_SHARE = 0.3  # largest action: small enough to avoid contacts
STEPS_PER_ACTION = 5  # control steps for which each random action is repeated
OnStep = Callable[[int], object]  # called with the number of ended episodes
# (task, robot, level or None for the motion, policy, stage)
ParityKey = tuple[str, str, str | None, str, str]


@dataclass(frozen=True)
class PolicyVersion:
    """A policy with its current weights, and the stage of the task that it does."""

    name: str = "expert"  # value of `--policy`
    stage: str = ""  # "" for the whole task
    weights: str = ""  # SHA-256; "" for a policy that was not trained

    @classmethod
    def now(cls, name: str, stage: str = "") -> PolicyVersion:
        return cls(name, stage, find_policy(name).weights_hash)

    def env_config(self, pair: Pair, level: str) -> EnvConfig:
        """Returns the config of worlds for this policy.

        Raises:
            EmbodiedError: the policy or the stage does not exist, or the policy is of
                another task or sees pixels.
        """
        task, robot = pair
        spec = find_policy(self.name).spec(task, robot)
        if spec.cameras:
            raise EmbodiedError(
                f"{self.name} sees pixels: "
                "the engines are compared by policies that see the state alone"
            )
        return TaskChoice(task, robot=robot, stage=self.stage).config(spec, level)


EXPERT = PolicyVersion()


@dataclass(frozen=True)
class ParityQuestion:
    """A comparison of both engines: of outcomes if it has a level, else of motion."""

    subject: Subject
    level: str | None = None
    seeds: range = range(0)
    policy: PolicyVersion = EXPERT

    @property
    def key(self) -> ParityKey:
        task, robot = self.subject.pair
        return task, robot, self.level, self.policy.name, self.policy.stage

    def is_answered_by(self, row: MotionDrift | PolicyOutcomes) -> bool:
        """Returns whether the row is of the same measurement, on any device."""
        return row.question == self


@dataclass(frozen=True)
class MotionDrift:
    """The largest differences between the engines in a second of small motion."""

    subject: Subject
    device: str
    tcp_m: float  # difference of the tool centre point's position
    joint: float  # largest difference of any joint of the robot, rad or m
    reward: float

    @property
    def question(self) -> ParityQuestion:
        return ParityQuestion(self.subject)

    @property
    def key(self) -> ParityKey:
        return self.question.key


@dataclass(frozen=True)
class PolicyOutcomes:
    """The outcomes of a policy on each engine, from the same starts."""

    subject: Subject
    device: str
    level: str
    first_seed: int
    on_cpu: Rate  # rate of success at the end
    on_warp: Rate
    progress_cpu: float  # mean progress at the end of an episode
    progress_warp: float
    only_cpu: tuple[int, ...]  # seeds that succeed on this engine alone
    only_warp: tuple[int, ...]
    faults: dict[str, int] = field(default_factory=dict)  # on the engine `warp`
    policy: PolicyVersion = EXPERT

    @property
    def question(self) -> ParityQuestion:
        seeds = range(self.first_seed, self.first_seed + self.on_cpu.episodes)
        return ParityQuestion(self.subject, self.level, seeds, self.policy)

    @property
    def key(self) -> ParityKey:
        return self.question.key

    def comparison(self) -> Comparison:
        """Compares the outcomes, paired by start."""
        # the outcomes are rebuilt from their counts, because the order of pairs does not
        # matter to the test
        only_cpu = len(self.only_cpu)
        only_warp = len(self.only_warp)
        both = self.on_cpu.successes - only_cpu
        neither = self.on_cpu.episodes - both - only_cpu - only_warp

        on_cpu = [True] * (both + only_cpu) + [False] * (only_warp + neither)
        on_warp = [True] * both + [False] * only_cpu
        on_warp += [True] * only_warp + [False] * neither
        return compare_paired(on_cpu, on_warp)


ParityRow = MotionDrift | PolicyOutcomes
PARITY_ROWS: dict[str, type[ParityRow]] = {
    "motion": MotionDrift,
    "outcomes": PolicyOutcomes,
}


def plan_parity(
    pairs: Sequence[Pair],
    level: str,
    seeds: range,
    policy: PolicyVersion = EXPERT,
) -> list[ParityQuestion]:
    """Returns the comparisons to make: motion of every pair, then outcomes.

    Args:
        pairs: the tasks with their robots, as (task, robot).
        level: the level of the policy's episodes.
        seeds: the seeds of the policy's episodes; without seeds, outcomes are not
            compared.
        policy: the policy whose outcomes are compared; motion is compared only if it is
            the expert.
    """
    # figures also become outdated when the code of the engine `warp` changes
    engine_code = code_hash((warp_worlds.__name__, warp_rollout.__name__))
    subjects = []
    for pair in pairs:
        subject = Subject.now(*pair)
        both_codes = f"{subject.code_hash}+{engine_code}"
        subjects.append(replace(subject, code_hash=both_codes))

    # motion does not depend on the policy, so it is measured with the expert only
    questions = []
    if policy == EXPERT:
        questions += [ParityQuestion(subject) for subject in subjects]
    if seeds:
        questions += [
            ParityQuestion(subject, level, seeds, policy) for subject in subjects
        ]
    return questions


def measure_motion(question: ParityQuestion, device: str) -> MotionDrift:
    """Steps both engines with the same small actions; returns their largest drift."""
    task, robot = question.subject.pair
    config = EnvConfig(
        task,
        robot=robot,
        control_mode="ee_delta",
        control_hz=MOTION_HZ,
        level="L3",
        num_threads=1,
    )
    on_cpu = Worlds(config, MOTION_WORLDS)
    on_warp = WarpWorlds(
        replace(config, engine="warp", device=device),
        num_worlds=MOTION_WORLDS,
        num_starts=MOTION_WORLDS,
        device=device,
    )
    on_cpu.reset(np.arange(MOTION_WORLDS), range(MOTION_WORLDS))
    on_warp.reset()

    # the columns of the tool centre points in the robot's proprioception `agent_pos`; and
    # the largest differences so far, over worlds and steps
    parts = on_cpu.agent_layout.slices()
    tools = [parts[f"{effector.name}_pos_w"] for effector in on_cpu.robot.effectors]
    largest_drift = np.zeros(3)  # tool centre point, joints, reward
    rng = np.random.default_rng(0)
    action = np.zeros((MOTION_WORLDS, len(on_cpu.interface.low)))

    for k in range(int(MOTION_S * MOTION_HZ)):
        if k % STEPS_PER_ACTION == 0:
            action = ACTION_SHARE * rng.uniform(-1, 1, action.shape)

        cpu_step = on_cpu.step(action)
        warp_step = on_warp.step(torch.as_tensor(action))

        # the engine `warp` resets a world at once when its episode ends; the fields
        # `final_*` are the observation before the reset
        warp_agent_pos = warp_step.final_agent_pos.cpu().numpy()
        differences = np.abs(on_cpu.observe().agent_pos - warp_agent_pos)
        reward = np.abs(cpu_step.reward - warp_step.reward.cpu().numpy())
        drift = [
            max(differences[:, tool].max() for tool in tools),
            differences[:, parts["joint_pos"]].max(),
            reward.max(),
        ]
        largest_drift = np.maximum(largest_drift, drift)

    on_cpu.close()
    tcp_m, joint, reward_drift = (float(value) for value in largest_drift)
    return MotionDrift(
        subject=question.subject,
        device=device_name(device),
        tcp_m=tcp_m,
        joint=joint,
        reward=reward_drift,
    )


def measure_outcomes(
    question: ParityQuestion, device: str, on_step: OnStep | None = None
) -> PolicyOutcomes:
    """Runs the policy on both engines from the same starts, and compares the outcomes."""
    name = question.policy.name
    seeds = question.seeds
    num = len(seeds)
    # a question about outcomes has a level; the `or` is only for the type checker
    config = question.policy.env_config(question.subject.pair, question.level or "L2")

    # On the engine `warp` each start has a world of its own. On `cpu` at most 16 worlds
    # run at once; their number does not affect results.
    on_cpu = EpisodeRunner(name, config, num_envs=min(num, 16)).run(seeds)
    worlds = WarpWorlds(
        replace(config, engine="warp", device=device),
        num_worlds=num,
        num_starts=num,
        device=device,
        seed=seeds.start,
    )
    # a policy reads layouts and limits from worlds of the engine `cpu`
    policy = find_policy(name).make(Worlds(config))
    on_warp = play_on_warp(worlds, policy, seeds.start, on_step)

    cpu_seeds = _successful_seeds(seeds, (e.success_at_end for e in on_cpu))
    warp_seeds = _successful_seeds(seeds, (e.success_at_end for e in on_warp))
    return PolicyOutcomes(
        subject=question.subject,
        device=device_name(device),
        level=config.level,
        first_seed=seeds.start,
        on_cpu=wilson(len(cpu_seeds), num),
        on_warp=wilson(len(warp_seeds), num),
        progress_cpu=float(np.mean([episode.progress_end for episode in on_cpu])),
        progress_warp=float(np.mean([episode.progress_end for episode in on_warp])),
        only_cpu=tuple(seed for seed in cpu_seeds if seed not in warp_seeds),
        only_warp=tuple(seed for seed in warp_seeds if seed not in cpu_seeds),
        faults=dict(Counter(episode.fault for episode in on_warp if episode.fault)),
        policy=question.policy,
    )


def _successful_seeds(seeds: range, successes: Iterable[bool]) -> list[int]:
    return [seed for seed, success in zip(seeds, successes, strict=True) if success]
