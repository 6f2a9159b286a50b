"""N worlds as one Gymnasium vector environment, stepped together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from embodied.envs.config import EnvConfig
from embodied.envs.env import CLOSED, NOT_BEGUN
from embodied.envs.infos import (
    FAULT_NAMES,
    Info,
    reset_info,
    restart_info,
    step_columns,
    step_info,
)
from embodied.envs.reset_options import RESET_MASK, checked_options
from embodied.envs.snapshot import ENDED, SEQUENCE, Ids, Snapshot, checked_ids
from embodied.envs.spaces import ObservationDict, Observer, action_space, world_row
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError, unknown
from embodied.seeding import Seeds, generator_at, generator_words, seed_of_each

AUTORESET_MODES = (AutoresetMode.SAME_STEP, AutoresetMode.DISABLED)
PER_WORLD = ("task_description",)  # attributes with a value for each world


class GroundVectorEnv(VectorEnv[ObservationDict, np.ndarray, np.ndarray]):
    """The environment of N worlds that `gymnasium.make_vec` returns.

    After reset(seed=s), world i has the same episodes as a GroundEnv after
    reset(seed=s + i), including later episodes. The autoreset mode is SAME_STEP, with
    `final_obs` and `final_info`, or DISABLED, with
    reset(options={"reset_mask": (N,) bool}). `embodied.envs.infos` documents the infos.

    Actions beyond [-1, 1] are clipped. In the mode DISABLED, a step is refused until all
    worlds whose episodes have ended are reset.
    """

    observation_space: spaces.Dict
    single_observation_space: spaces.Dict

    def __init__(
        self,
        config: EnvConfig,
        num_envs: int = 1,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    ) -> None:
        """Makes the worlds; the first episodes begin with `reset`."""
        if render_mode not in (None, "rgb_array"):
            raise unknown(
                "render_mode of a vector environment", str(render_mode), ("rgb_array",)
            )
        self.autoreset_mode = parse_autoreset_mode(autoreset_mode)
        self.render_mode = render_mode
        self.num_envs = num_envs
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": config.control_hz,
            "autoreset_mode": self.autoreset_mode,
        }

        self.worlds = Worlds(config, num_envs)
        self._observer = Observer(self.worlds)
        self.single_observation_space = self._observer.space
        self.single_action_space = action_space(self.worlds.interface)
        self.observation_space = batched(self._observer.space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

        # each world's generator of the seeds of later episodes
        self._generators = [seeding.np_random()[0] for _ in range(num_envs)]
        # (N,) whether a world has no running episode: before the first reset, and after
        # an episode that was not reset
        self._ended = np.ones(num_envs, bool)
        self._has_begun = False

    @property
    def task(self) -> str:
        """The task's name."""
        return self.worlds.spec.name

    @property
    def task_description(self) -> tuple[str, ...]:
        """The instructions of the N present episodes."""
        return self.worlds.instructions

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Returns an attribute of each of the N worlds, such as `task_description`."""
        value = getattr(self, name)
        if callable(value):
            raise EmbodiedError(
                f"{name!r} is done by all worlds at once: call {name} itself"
            )
        return tuple(value) if name in PER_WORLD else (value,) * self.num_envs

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Returns attributes or pictures, like Gymnasium's SyncVectorEnv."""
        if name == "render":
            return self.render() or (None,) * self.num_envs
        return self.get_attr(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Raises EmbodiedError: the worlds have no attributes of their own."""
        raise EmbodiedError(
            f"cannot set {name!r}: worlds of a batch have no attributes of their own, "
            "pass it to gymnasium.make_vec"
        )

    @property
    def _max_episode_steps(self) -> int:
        """The number of steps until truncation; third-party wrappers read this name."""
        return self.worlds.max_steps

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[ObservationDict, Info]:
        """Starts new episodes.

        Args:
            seed: an integer s for the seeds s, s + 1, ..., one for each world; or a
                sequence of N seeds. None stands for the next seed of a world's own
                sequence.
            options: `reset_mask` (N,) bool selects the worlds; by default all are reset.
                Other frameworks' options are ignored.
        """
        if self.closed:
            raise EmbodiedError(CLOSED)
        ids = np.flatnonzero(self._reset_mask(options))
        given = seed_of_each(seed, self.num_envs)
        # Gymnasium stores this seed; the episodes' seeds come from each world's generator
        if isinstance(seed, int | np.integer):
            super().reset(seed=int(seed))

        self._start(ids, given)
        info = reset_info(self.worlds.task.judge().progress, ids)
        return self._observer.observe(), info

    def _reset_mask(self, options: dict[str, Any] | None) -> np.ndarray:
        """Returns (N,) bool, the worlds that the options of `reset` select."""
        own = checked_options(options, (RESET_MASK,))
        mask = own.get(RESET_MASK, np.ones(self.num_envs, bool))
        if (
            not isinstance(mask, np.ndarray)
            or mask.dtype != bool
            or mask.shape != (self.num_envs,)
            or not mask.any()
        ):
            raise EmbodiedError(
                f"reset_mask must be a bool array of shape ({self.num_envs},) with a True in it"
            )
        return mask

    def _start(self, ids: np.ndarray, given: Sequence[int | None]) -> None:
        """Starts new episodes in some worlds.

        Args:
            ids: (n,) the worlds.
            given: the seed of each of the N worlds; None for the next seed of the world's
                own sequence.
        """
        seeds = []
        for world in ids.tolist():
            seed = given[world]
            if seed is None:
                seed = int(self._generators[world].integers(2**63))
            else:
                self._generators[world] = seeding.np_random(seed)[0]
            seeds.append(seed)

        self.worlds.reset(ids, seeds)
        self._ended[ids] = False
        self._has_begun = True

    def step(
        self, actions: np.ndarray
    ) -> tuple[ObservationDict, np.ndarray, np.ndarray, np.ndarray, Info]:
        """Makes one control step of all worlds.

        A world whose episode has ended is reset at once in the mode SAME_STEP, and must
        be reset by the caller in the mode DISABLED.
        """
        self._require_episodes()
        if self._ended.any():
            ended = np.flatnonzero(self._ended).tolist()
            raise EmbodiedError(
                f"the episodes of worlds {ended} are over, or have not begun: "
                "reset them with the option reset_mask"
            )

        # step, and observe the last states of episodes before their worlds are reset
        worlds = self.worlds
        result = worlds.step(actions)
        safety = worlds.safety(worlds.ticks_per_step)
        columns = step_columns(result, safety, FAULT_NAMES[result.fault])
        observation = self._observer.observe()

        # what happens to worlds whose episodes have ended depends on the autoreset mode
        over = result.terminated | result.truncated
        if not over.any():
            info = step_info(columns)
        elif self.autoreset_mode == AutoresetMode.DISABLED:
            info = step_info(columns)
            self._ended = over
        else:
            self._start(np.flatnonzero(over), [None] * self.num_envs)
            info = restart_info(columns, over, worlds.task.judge().progress)
            info["final_obs"] = rows_of(observation, over)
            info["_final_obs"] = over.copy()
            observation = self._observer.observe()
        return observation, result.reward, result.terminated, result.truncated, info

    def snapshot(self, worlds: Ids = None) -> Snapshot:
        """Returns the complete state of one world, of several, or of all N.

        The snapshot is plain data. It does not include the state of wrappers, which
        `copy.deepcopy` of the whole environment copies, too.
        """
        self._require_episodes()
        ids = checked_ids(worlds, self.num_envs)
        sequences = [generator_words(self._generators[i]) for i in ids.tolist()]
        more = {SEQUENCE: np.stack(sequences), ENDED: self._ended[ids]}
        return self.worlds.snapshot(ids).with_arrays(more)

    def restore(self, snapshot: Snapshot, worlds: Ids = None) -> ObservationDict:
        """Restores worlds from a snapshot of such an environment, or of `Worlds`.

        Args:
            snapshot: a snapshot of as many worlds as `worlds`, or of one world, which all
                of them then copy.
            worlds: the index of one world, several indices, or None for all N worlds.

        Returns:
            The observation of all N worlds.

        Raises:
            EmbodiedError: the snapshot is of another task, robot, control mode or
                model, or lacks the frames of these cameras.
        """
        if self.closed:
            raise EmbodiedError(CLOSED)
        ids = checked_ids(worlds, self.num_envs)
        self.worlds.restore(snapshot, ids)

        # A snapshot of `Worlds` has no sequences of seeds, so then these worlds keep their
        # own sequences. The modulo repeats the only row of a single world's snapshot.
        for k, world in enumerate(ids.tolist()):
            if SEQUENCE in snapshot.arrays:
                words = snapshot.arrays[SEQUENCE][k % len(snapshot)]
                self._generators[world] = generator_at(words)
        self._ended[ids] = snapshot.arrays.get(ENDED, False)
        self._has_begun = True
        return self._observer.observe()

    def _require_episodes(self) -> None:
        """Raises EmbodiedError after `close`, and before the first reset."""
        if self.closed:
            raise EmbodiedError(CLOSED)
        if not self._has_begun:
            raise EmbodiedError(NOT_BEGUN)

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Returns N pictures (480, 640, 3) uint8 from the task's `beauty_camera`."""
        if self.render_mode is None:
            gymnasium.logger.warn(
                "render() needs a render_mode: gymnasium.make_vec(..., render_mode='rgb_array')"
            )
            return None
        self._require_episodes()
        camera = self.worlds.spec.beauty_camera
        return tuple(self.worlds.render(i, camera) for i in range(self.num_envs))

    def close_extras(self, **kwargs: Any) -> None:
        """Frees GL contexts."""
        self.worlds.close()


def batched(space: spaces.Dict, num_envs: int) -> spaces.Dict:
    """Returns the observation space of N worlds, from that of one world."""
    return spaces.Dict(
        {name: batch_space(part, num_envs) for name, part in space.items()}
    )


def rows_of(observation: ObservationDict, which: np.ndarray) -> np.ndarray:
    """Returns the observations of single worlds, in an array (N,) of dictionaries.

    Args:
        observation: the observation of all N worlds.
        which: (N,) bool, the worlds whose observations are returned. The result has None
            for the other worlds.
    """
    rows = np.full(len(which), None, dtype=object)
    for world in np.flatnonzero(which).tolist():
        rows[world] = world_row(observation, world)
    return rows


def parse_autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    """Returns Gymnasium's autoreset mode of a value or a name.

    Examples are SameStep and SAME_STEP; case is ignored.

    Raises:
        EmbodiedError: the mode is unknown, or this environment does not support it.
    """
    wanted = str(mode.value if isinstance(mode, AutoresetMode) else mode)
    for known in AUTORESET_MODES:
        if wanted.casefold() in (known.value.casefold(), known.name.casefold()):
            return known
    raise unknown("autoreset_mode", wanted, [known.value for known in AUTORESET_MODES])
