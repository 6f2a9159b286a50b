"""N worlds on a GPU as one Gymnasium vector environment of torch tensors."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from embodied.envs.config import EnvConfig
from embodied.envs.env import CLOSED, NOT_BEGUN
from embodied.envs.infos import step_columns
from embodied.envs.reset_options import RESET_MASK, checked_options
from embodied.envs.safety import Safety
from embodied.envs.snapshot import Ids, Snapshot
from embodied.envs.spaces import action_space, limits
from embodied.envs.vector_env import batched
from embodied.envs.warp.worlds import WarpStepResult, WarpWorlds
from embodied.errors import EmbodiedError
from embodied.seeding import Seeds, seed_of_each
from embodied.sim.engine import FAULTS
from embodied.wording import counted

Tensors = dict[str, Any]  # key -> tensor, or a dictionary of more
# Limits of the number of starts in the bank. Between them there is one start per world.
LEAST_STARTS = 1024
MOST_STARTS = 4096


class WarpVectorEnv(VectorEnv[Tensors, torch.Tensor, torch.Tensor]):
    """The environment of `gymnasium.make_vec(..., engine="warp")`, with torch tensors.

    Observations are those of the engine `cpu`, with autoreset in the same step.
    `embodied.envs.infos` documents the infos. For numpy arrays, wrap the environment in
    Gymnasium's `ArrayConversion`, or in `NumpyVectorEnv`, which has the infos of the
    engine `cpu`.

    After reset(seed=s), the episode of world i begins with start (s + i) modulo the
    number of starts in the bank, see `WarpWorlds`. Pixels are rendered on the device in
    each step, with the noise of the episode's variation. If the config has a `camera_hz`,
    frames are taken at this rate in the world's time, and observations show the newest
    one. `WarpCameras` documents the differences in appearance from the engine `cpu`.

    Raises:
        EmbodiedError: an argument needs the engine `cpu`.
    """

    observation_space: spaces.Dict
    single_observation_space: spaces.Dict

    def __init__(self, config: EnvConfig, num_envs: int = 1) -> None:
        """Makes the worlds; the first episodes begin with `reset`."""
        self.num_envs = num_envs
        self.render_mode = None  # this environment makes no pictures for people
        self.metadata = {
            "render_modes": [],
            "render_fps": config.control_hz,
            "autoreset_mode": AutoresetMode.SAME_STEP,
            "torch": True,  # the arrays are torch tensors
        }
        self._has_begun = False

        # More starts than worlds let a world begin its episodes differently. With pixels
        # there are no more starts than worlds, because the frames of each start are stored.
        starts = num_envs if config.obs != "state" else max(num_envs, LEAST_STARTS)
        self.worlds = WarpWorlds(
            config, num_envs, min(starts, MOST_STARTS), config.device
        )
        self.single_observation_space = self.worlds.space
        self.single_action_space = action_space(self.worlds.interface)
        self.observation_space = batched(self.worlds.space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

        device = self.worlds.device
        # bounds of the observations' absolute values, (size,) each
        self._bounds = {
            "agent_pos": torch.as_tensor(
                limits(self.worlds.agent_layout), device=device
            )
        }
        if config.obs != "pixels":
            self._bounds["environment_state"] = torch.as_tensor(
                limits(self.worlds.state_layout), device=device
            )
        # the mask (N,) that selects all worlds
        self._all = torch.ones(num_envs, dtype=torch.bool, device=device)

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[Tensors, Tensors]:
        """Starts new episodes in all worlds.

        Args:
            seed: an integer s for the starts s, s + 1, ..., one for each world; or a
                sequence of N integers, the index of each world's start; or None for each
                world's next start.
            options: must not have a reset mask, because all worlds are reset; others are
                ignored.
        """
        if self.closed:
            raise EmbodiedError(CLOSED)
        if RESET_MASK in checked_options(options, (RESET_MASK,)):
            raise EmbodiedError(
                f"the engine 'warp' resets all worlds at once: leave out {RESET_MASK}"
            )

        observed = self.worlds.reset(self._starts(seed))
        self._has_begun = True
        columns = {
            "is_success": torch.zeros_like(self._all),
            "progress": self.worlds.start_progress(),
            "fault": torch.zeros_like(self._all, dtype=torch.int64),
        }
        return self._observation(*observed), _masked(columns, self._all)

    def _starts(self, seed: Seeds) -> list[int] | None:
        """Returns the index of each world's start, or None for each world's next start.

        Raises:
            EmbodiedError: only some of the worlds have a seed.
        """
        seeds = seed_of_each(seed, self.num_envs)
        given = [start for start in seeds if start is not None]
        if given and len(given) != self.num_envs:
            raise EmbodiedError(
                f"{counted(len(given), 'seed')} for {counted(self.num_envs, 'world')}: the engine 'warp' takes "
                "one for each world, or none"
            )
        return given or None

    def step(
        self, actions: torch.Tensor
    ) -> tuple[Tensors, torch.Tensor, torch.Tensor, torch.Tensor, Tensors]:
        """Makes one control step of all worlds; worlds with ended episodes are reset."""
        if self.closed:
            raise EmbodiedError(CLOSED)
        if not self._has_begun:
            raise EmbodiedError(NOT_BEGUN)
        if tuple(actions.shape) != self.action_space.shape:
            raise EmbodiedError(
                f"actions of shape {tuple(actions.shape)}, expected {self.action_space.shape}"
            )

        result = self.worlds.step(actions)
        observation = self._observation(result.agent_pos, result.environment_state)
        info = self._info(result)
        return observation, result.reward, result.terminated, result.truncated, info

    def snapshot(self, worlds: Ids = None) -> Snapshot:
        """Returns the complete state of one world, of several, or of all N.

        The snapshot's arrays are tensors on the device.
        """
        if self.closed:
            raise EmbodiedError(CLOSED)
        if not self._has_begun:
            raise EmbodiedError(NOT_BEGUN)
        return self.worlds.snapshot(worlds)

    def restore(self, snapshot: Snapshot, worlds: Ids = None) -> Tensors:
        """Restores worlds from a snapshot of this environment, or of an equal one.

        Args:
            snapshot: a snapshot of as many worlds as `worlds`, or of one world, which all
                of them then copy; with tensors or numpy arrays.
            worlds: the index of one world, several indices, or None for all N worlds.

        Returns:
            The observation of all N worlds.

        Raises:
            EmbodiedError: the snapshot is of another task, robot, control mode, model
                or bank of starts, or lacks the frames of these cameras.
        """
        if self.closed:
            raise EmbodiedError(CLOSED)
        if not self._has_begun:
            self.reset()  # begins episodes in the worlds that are not restored
        self.worlds.restore(snapshot, worlds)
        return self._observation(*self.worlds.observe())

    def _info(self, result: WarpStepResult) -> Tensors:
        """Returns the info of a step, as `embodied.envs.infos` documents it.

        `final_obs` and `final_info` always exist, with masks of the worlds whose episode
        has ended.
        """
        safety = Safety(
            result.contact_force_n, result.collision, result.joint_margin_rad
        )
        columns = step_columns(result, safety, result.fault)

        # `final_obs` has a row for each world, because the host does not know which
        # episodes have ended: it would have to wait for the device
        has_ended = result.terminated | result.truncated
        final_obs = self._observation(
            result.final_agent_pos, result.final_environment_state, final=True
        )

        return {
            **_masked(columns, self._all),
            "final_obs": final_obs,
            "_final_obs": has_ended,
            "final_info": _masked(columns, has_ended),
            "_final_info": has_ended,
        }

    def _observation(
        self,
        agent_pos: torch.Tensor,
        environment_state: torch.Tensor,
        final: bool = False,
    ) -> Tensors:
        """Returns the observation of all N worlds, as in `observation_space`.

        Args:
            agent_pos: (N, P) proprioception.
            environment_state: (N, S) privileged state.
            final: whether to show the last frames of episodes that ended in this step,
                instead of the first frames of the new ones.
        """
        # only the entries that the config's observations have, clipped to their bounds
        values = {"agent_pos": agent_pos, "environment_state": environment_state}
        observation: Tensors = {}
        for name, bound in self._bounds.items():
            observation[name] = values[name].float().clamp(-bound, bound)

        # frames of the cameras, and their age, as copies that later steps do not overwrite
        feed = self.worlds.feed
        if feed is not None:
            frames = feed.final() if final else feed.newest()
            age_s = feed.final_age_s if final else feed.age_s
            observation["pixels"] = {
                name: frame.clone() for name, frame in frames.items()
            }
            observation["pixels_age"] = age_s.clone()
        return observation

    @staticmethod
    def fault_name(index: int) -> str:
        """Returns the name of the fault with an index, as infos have it."""
        return FAULTS[index]

    def close_extras(self, **kwargs: Any) -> None:
        """Frees the device's arrays."""
        self.worlds.engine.close()


def _masked(columns: Tensors, valid: torch.Tensor) -> Tensors:
    """Returns columns of an info together with their masks, as Gymnasium expects them.

    Args:
        columns: name -> values (N, ...).
        valid: (N,) bool, the worlds whose values are valid; the mask of each column.
    """
    return {**columns, **{f"_{name}": valid for name in columns}}
