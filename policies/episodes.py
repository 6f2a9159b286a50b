"""Running episodes of a policy that is given by its name, within one process."""

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
from embodied.rollout.motion import MotionMeter
from embodied.rollout.rollout import EpisodeResult, Hook, rollout


def env_config_for(
    spec: PolicySpec, task: str, level: str, split: str, robot: str | None = None
) -> EnvConfig:
    """Returns the config of worlds that a policy with this spec can act in.

    They use one thread, since many processes share the work.
    """
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
    """A policy and the worlds it acts in, plain enough to be sent to a process.

    Attributes:
        policy: its name, as `find_policy` knows it.
        config: the worlds, as the policy's spec asks for them (`env_config_for`).
        dual: when plans are made and how they travel; None for the policy's own rate
            without delay.
        num_envs: how many worlds run at once.
        noise: standard deviation of the shoves of its actions (see `NoisyPolicy`).
        correction: who takes over when the policy strays; None for nobody.

    Raises:
        EmbodiedError: a number is out of its range, or there are noise and a correction.
    """

    policy: str
    config: EnvConfig
    dual: DualSystemConfig | None = None
    num_envs: int = 16
    noise: float = 0.0
    correction: Correction | None = None

    def __post_init__(self) -> None:
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
                "a policy that is corrected is not shoved, too: its own errors are what "
                "there is to correct; leave out the noise or the correction"
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
        """Runs one episode per seed and returns their results (see `rollout`)."""
        if not len(seeds):
            return []
        num_worlds = min(self.num_envs, len(seeds))
        with closing(Worlds(self.config, num_worlds)) as worlds:
            meter = MotionMeter(worlds)

            def tell(result: EpisodeResult) -> None:
                if on_result is not None:
                    on_result(meter.measured(result))

            policy = self._make_policy(worlds)
            results = rollout(worlds, policy, seeds, [meter, *hooks], tell)
            return [meter.measured(result) for result in results]

    def _make_policy(self, worlds: Worlds) -> Policy:
        """Returns the policy, with what disturbs or corrects it."""
        policy = find_policy(self.policy).make(worlds, self.dual)
        grippers = worlds.interface.gripper_elements
        if self.noise:
            return NoisyPolicy(policy, self.noise, grippers)
        if self.correction is not None:
            expert = find_policy(self.correction.by).make(worlds, self.dual)
            return CorrectedPolicy(policy, expert, self.correction.rule, grippers)
        return policy
