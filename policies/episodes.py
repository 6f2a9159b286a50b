"""Runs episodes of a policy, given by its name, within one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from embodied.core import Policy, PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.plain import make_fields_plain
from embodied.policies.corrected import CorrectedPolicy, Correction
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.noise import NoisyPolicy
from embodied.policies.registry import find_policy
from embodied.rollout.meters import Meters
from embodied.rollout.rollout import EpisodeResult, Hook, rollout


def env_config_for(
    spec: PolicySpec, task: str, level: str, split: str, robot: str | None = None
) -> EnvConfig:
    """Returns the config of worlds that meet a policy's requirements.

    The worlds use one thread, since several processes share the work.

    Args:
        spec: the policy's requirements.
        task: the task's name.
        level: the level of variation.
        split: whether seen or held-out values are sampled.
        robot: the robot's name; None for the task's default.
    """
    # images are observed only if the policy needs them, because rendering is slow
    obs = "state"
    if spec.cameras:
        obs = "both" if spec.privileged else "pixels"

    return EnvConfig(
        task=task,
        robot=robot,
        obs=obs,
        control_mode=spec.control_mode,
        control_hz=spec.control_hz,
        cameras=spec.cameras,
        camera_hz=spec.camera_hz,
        image_size=spec.image_size,
        level=level,
        split=split,
        num_threads=1,
    )


@dataclass(frozen=True)
class EpisodeRunner:
    """A policy and its worlds as plain data, which can be sent to another process.

    Attributes:
        policy: the policy's name, see `find_policy`.
        config: the config of the worlds, which must meet the policy's spec
            (`env_config_for`).
        dual: the timing of plans; None for the policy's own rate without delays.
        num_envs: the number of worlds that run at the same time.
        noise: the standard deviation of the shoves that disturb actions (see
            `NoisyPolicy`); 0 for no shoves.
        correction: who corrects the policy, and by which rule; None for nobody.

    Raises:
        EmbodiedError: a number is out of its range, or both noise and a correction are
            given.
    """

    policy: str
    config: EnvConfig
    dual: DualSystemConfig | None = None
    num_envs: int = 16
    noise: float = 0.0
    correction: Correction | None = None

    def __post_init__(self) -> None:
        """Raises EmbodiedError for impossible numbers, and for noise with a correction."""
        make_fields_plain(self)

        if self.num_envs < 1:
            raise EmbodiedError(
                f"the number of worlds at once must be at least 1, not {self.num_envs}"
            )

        if not 0 <= self.noise <= 1:
            raise EmbodiedError(
                f"the action noise must be from 0 to 1, as actions are from -1 to 1, "
                f"not {self.noise}"
            )

        if self.noise and self.correction is not None:
            raise EmbodiedError(
                "action noise and a correction cannot be combined, since the correction "
                "is for the policy's own errors: leave out one of them"
            )

    def try_out(self) -> None:
        """Raises EmbodiedError if such a policy cannot be made for such worlds."""
        with closing(Worlds(self.config)) as worlds:
            self._make_policy(worlds)

    def run(
        self,
        seeds: Sequence[int],
        hooks: Sequence[Hook] = (),
        on_result: Callable[[EpisodeResult], None] | None = None,
    ) -> list[EpisodeResult]:
        """Runs one episode per seed, and returns their results.

        Args:
            seeds: the seeds of the episodes.
            hooks: the hooks that watch the rollout.
            on_result: a function that is called with each result as soon as its episode
                is over.
        """
        if not len(seeds):
            return []
        num_worlds = min(self.num_envs, len(seeds))
        with closing(Worlds(self.config, num_worlds)) as worlds:
            meters = Meters(worlds)

            def report(result: EpisodeResult) -> None:
                if on_result is not None:
                    on_result(meters.measured(result))

            policy = self._make_policy(worlds)
            all_hooks = [*meters.hooks, *hooks]
            results = rollout(worlds, policy, seeds, hooks=all_hooks, on_result=report)
            return [meters.measured(result) for result in results]

    def _make_policy(self, worlds: Worlds) -> Policy:
        """Returns the policy, wrapped to be disturbed or corrected if requested."""
        policy = find_policy(self.policy).make(worlds, self.dual)
        grippers = worlds.interface.gripper_elements
        if self.noise:
            return NoisyPolicy(policy, self.noise, grippers)
        if self.correction is not None:
            expert = find_policy(self.correction.by).make(worlds, self.dual)
            rule = self.correction.rule
            return CorrectedPolicy(policy, expert, rule, gripper_elements=grippers)
        return policy
