"""Whether both engines simulate the same: motion without a touch number by number, work
by how it ends.

Motion: the same starts and small actions for a second. Work: the same policy, an expert
or a trained one, over the same starts on both; contacts multiply the last bit of single
precision, so that single episodes differ, and only their statistics can agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from embodied.benchmark.code_hash import code_hash
from embodied.benchmark.evaluation import Place
from embodied.benchmark.statistics import Comparison, Rate, compare_paired, wilson
from embodied.benchmark.survey import Pair, Subject
from embodied.envs.config import EnvConfig
from embodied.envs.warp import worlds as warp_worlds
from embodied.envs.warp.worlds import WarpWorlds
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.catalog import Player, make_policy, policy_spec, weights_hash
from embodied.rollout import on_device
from embodied.rollout.on_device import play_on_device

MOTION_S = 1.0
MOTION_HZ = 20
MOTION_WORLDS = 2
# of full actions, each for so many steps
SMALL = 0.3
HELD = 5
OnStep = Callable[[int], object]  # told how many episodes have ended


@dataclass(frozen=True)
class Motion:
    """How far the engines drift apart in a second of small motion, at most."""

    subject: Subject
    device: str
    tcp_m: float  # of the tool centre point
    joint: float  # of any joint of the robot, rad or m
    reward: float


@dataclass(frozen=True)
class Performer:
    """Who works, and how far."""

    policy: str = "expert"  # as the catalog knows it
    stage: str = ""  # of the task; empty: the whole task
    weights: str = ""  # SHA-256; empty for a policy that was not trained

    @classmethod
    def of(cls, policy: str, stage: str = "") -> Performer:
        """As it is now."""
        return cls(policy, stage, weights_hash(policy))

    def worlds(self, pair: Pair, level: str) -> EnvConfig:
        """What it works in. Raises EmbodiedError for a policy that does not exist, is
        of another task or sees pictures, and for a stage that does not exist.
        """
        task, robot = pair
        spec = policy_spec(self.policy, task, robot)
        if spec.cameras:
            raise EmbodiedError(
                f"{self.policy} sees pictures: the engines are compared by what sees the state alone"
            )
        return Place(task, robot=robot, stage=self.stage).config(spec, level)


EXPERT = Performer()


@dataclass(frozen=True)
class Work:
    """The same policy over the same starts on both engines."""

    subject: Subject
    device: str
    level: str
    first_seed: int
    on_cpu: Rate  # of success at the end
    on_warp: Rate
    progress_cpu: float  # at the end, mean
    progress_warp: float
    only_cpu: tuple[int, ...]  # seeds that succeed on one engine alone
    only_warp: tuple[int, ...]
    faults: dict[str, int] = field(default_factory=dict)  # on the engine `warp`
    performer: Performer = EXPERT

    def comparison(self) -> Comparison:
        """Paired by start."""
        both = self.on_cpu.successes - len(self.only_cpu)
        neither = self.on_cpu.episodes - both - len(self.only_cpu) - len(self.only_warp)
        counts = [
            (True, True, both),
            (True, False, len(self.only_cpu)),
            (False, True, len(self.only_warp)),
        ]
        rows = [
            pair
            for *pair, count in (*counts, (False, False, neither))
            for _ in range(count)
        ]
        return compare_paired([a for a, _ in rows], [b for _, b in rows])


@dataclass(frozen=True)
class Query:
    """What one finding answers; without a level it asks for the motion."""

    subject: Subject
    level: str | None = None
    seeds: range = range(0)
    performer: Performer = EXPERT

    def is_answered_by(self, finding: Motion | Work) -> bool:
        """Whether this is the same measurement of the same thing, on whatever device."""
        if finding.subject != self.subject or isinstance(finding, Motion):
            return finding.subject == self.subject and self.level is None
        seeds = range(finding.first_seed, finding.first_seed + finding.on_cpu.episodes)
        return (finding.level, seeds, finding.performer) == (
            self.level,
            self.seeds,
            self.performer,
        )

    def is_about(self, finding: Motion | Work) -> bool:
        """Whether an answer would take this finding's place."""
        if isinstance(finding, Motion) or self.level is None:
            return (
                isinstance(finding, Motion)
                and self.level is None
                and finding.subject.pair == self.subject.pair
            )
        theirs, own = (
            (who.policy, who.stage) for who in (finding.performer, self.performer)
        )
        return (finding.subject.pair, finding.level, theirs) == (
            self.subject.pair,
            self.level,
            own,
        )


@dataclass(frozen=True)
class Parity:
    """All that was found so far, and by which commands on which days."""

    commands: tuple[tuple[str, str], ...] = ()  # day (ISO 8601), command line
    # that made the newest findings
    host: Mapping[str, str | int] = field(default_factory=dict)
    findings: tuple[Motion | Work, ...] = ()

    def without(self, queries: Sequence[Query]) -> Parity:
        """Without what the queries are about."""
        kept = [
            f for f in self.findings if not any(query.is_about(f) for query in queries)
        ]
        return replace(self, findings=tuple(kept))

    def missing(self, queries: Sequence[Query]) -> list[Query]:
        """Those that nothing answers yet."""
        return [
            q
            for q in queries
            if not any(q.is_answered_by(finding) for finding in self.findings)
        ]

    def with_answer(self, query: Query, finding: Motion | Work) -> Parity:
        """With the finding, in place of an older one."""
        return replace(self, findings=(*self.without([query]).findings, finding))


def plan_queries(
    pairs: Sequence[Pair], level: str, seeds: range, performer: Performer = EXPERT
) -> list[Query]:
    """Motion of every pair, then the expert's work where there are seeds; of another
    policy its work alone.
    """
    own = code_hash((warp_worlds.__name__, on_device.__name__))
    subjects = [Subject.now(*pair) for pair in pairs]
    subjects = [
        replace(subject, code_hash=f"{subject.code_hash}+{own}") for subject in subjects
    ]
    motions = [Query(subject) for subject in subjects if performer == EXPERT]
    return [
        *motions,
        *(Query(subject, level, seeds, performer) for subject in subjects if seeds),
    ]


def device_name(device: str) -> str:
    """For people: the GPU's, or that it is none."""
    return torch.cuda.get_device_name() if device == "cuda" else "Warp's CPU device"


def measure_motion(query: Query, device: str) -> Motion:
    """Runs both engines side by side."""
    task, robot = query.subject.pair
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
        MOTION_WORLDS,
        MOTION_WORLDS,
        device,
    )
    on_cpu.reset(np.arange(MOTION_WORLDS), range(MOTION_WORLDS))
    on_warp.reset()
    rng = np.random.default_rng(0)
    parts = on_cpu.agent_layout.slices()
    worst = np.zeros(3)
    action = np.zeros((MOTION_WORLDS, len(on_cpu.interface.low)))
    for k in range(int(MOTION_S * MOTION_HZ)):
        action = SMALL * rng.uniform(-1, 1, action.shape) if k % HELD == 0 else action
        expected = on_cpu.step(action)
        found = on_warp.step(torch.as_tensor(action))
        apart = np.abs(on_cpu.observe().agent_pos - found.final_agent_pos.cpu().numpy())
        reward = np.abs(expected.reward - found.reward.cpu().numpy())
        now = [
            apart[:, parts["tcp_pos_w"]].max(),
            apart[:, parts["joint_pos"]].max(),
            reward.max(),
        ]
        worst = np.maximum(worst, now)
    on_cpu.close()
    return Motion(
        query.subject, device_name(device), *(float(value) for value in worst)
    )


def measure_work(query: Query, device: str, on_step: OnStep | None = None) -> Work:
    """Runs the performer on both engines, on each over all starts."""
    policy = query.performer.policy
    num = len(query.seeds)
    first = query.seeds.start
    config = query.performer.worlds(query.subject.pair, query.level or "L2")
    on_cpu = Player(policy, config, num_envs=min(num, 16)).play(query.seeds)
    worlds = WarpWorlds(
        replace(config, engine="warp", device=device), num, num, device, first
    )
    on_warp = play_on_device(
        worlds, make_policy(policy, Worlds(config)), first, on_step
    )
    pairs = [
        (a.success_at_end, b.success_at_end)
        for a, b in zip(on_cpu, on_warp, strict=True)
    ]
    return Work(
        subject=query.subject,
        device=device_name(device),
        level=config.level,
        first_seed=first,
        on_cpu=wilson(sum(a for a, _ in pairs), num),
        on_warp=wilson(sum(b for _, b in pairs), num),
        progress_cpu=float(np.mean([episode.progress_end for episode in on_cpu])),
        progress_warp=float(np.mean([episode.progress_end for episode in on_warp])),
        only_cpu=tuple(
            seed for seed, (a, b) in zip(query.seeds, pairs, strict=True) if a and not b
        ),
        only_warp=tuple(
            seed for seed, (a, b) in zip(query.seeds, pairs, strict=True) if b and not a
        ),
        faults=dict(Counter(episode.fault for episode in on_warp if episode.fault)),
        performer=query.performer,
    )
