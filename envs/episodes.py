"""Starts new episodes and recorded episodes in N worlds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import numpy as np

from embodied.envs.bound import Bound
from embodied.envs.common_factors import LOOKS, CommonFactors, SensorNoise
from embodied.envs.config import EnvConfig
from embodied.envs.proprioception import Proprioception
from embodied.envs.task import Task, TaskSpec
from embodied.envs.task_checks import check_start, explaining_errors
from embodied.envs.variation import Variation
from embodied.errors import EmbodiedError
from embodied.plain import to_python, why_not_json
from embodied.sim.engine import HostEngine

# Names in `EpisodeStart.fields`: the prefix of the arrays of the task's `memory()`, and the
# name of the encoder bias.
TASK_PREFIX = "task/"
ENCODER_BIAS = "sensor/encoder_bias"
# 2^64 divided by the golden ratio: products with this number have well mixed bits.
_CHECKSUM_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class EpisodeStart:
    """Everything that is needed to start an episode again, bit for bit."""

    seed: int
    state: np.ndarray  # (S,) float64, MuJoCo's integration state
    # the varied fields of the model, by name; the arrays of the task's `memory()`, by
    # `task/<name>`; and the encoder bias
    fields: Mapping[str, np.ndarray]
    # name of a variable -> its sampled value
    variation: dict[str, Any] = field(default_factory=dict)


class Episodes:
    """Samples the starts of episodes, writes them to the engine and keeps a copy."""

    def __init__(
        self,
        engine: HostEngine,
        task: Task,
        common_factors: CommonFactors,
        proprioception: Proprioception,
        variation: Variation,
        task_name: str,
    ) -> None:
        """Stores the objects that starts are written to; no episode has begun yet."""
        self._engine = engine
        self._task = task
        self._task_name = task_name
        self._common_factors = common_factors
        self._proprioception = proprioception
        self.variation = variation

        n = engine.num_worlds
        self.seeds = np.zeros(n, np.int64)
        self.sampled: list[dict[str, Any]] = [{} for _ in range(n)]
        self.instructions = ("",) * n
        # (N,) the standard deviation of the pixel noise, grey levels
        self.pixel_sigma = np.zeros(n)
        self._start_states = engine.state().copy()  # (N, S)
        # the task's memory before any episode, (N, ...) each
        self._first_memory = {
            name: values.copy() for name, values in task.memory().items()
        }

    @classmethod
    def of(
        cls, engine: HostEngine, bound: Bound, spec: TaskSpec, config: EnvConfig
    ) -> Episodes:
        """Returns the episodes of a task, with the variation that a config asks for.

        Args:
            engine: the physics of the worlds.
            bound: the task and the robot in the worlds.
            spec: the task's spec.
            config: the config, which names the level, the split and the factors.
        """
        common_factors = CommonFactors(
            engine, bound.robot, spec.cameras_for(bound.robot), spec.base_start
        )
        variation = Variation(spec.table, config.level, config.split, config.factors)
        return cls(
            engine=engine,
            task=bound.task,
            common_factors=common_factors,
            proprioception=bound.proprioception,
            variation=variation,
            task_name=spec.name,
        )

    def sample(self, ids: np.ndarray, seeds: Sequence[int]) -> None:
        """Samples new episodes and writes their starts into worlds.

        Afterwards the quantities that the engine derives from states are still those of the
        old states; `EpisodeFlow.begin` computes the new ones.

        Args:
            ids: (n,) the worlds.
            seeds: the n seeds of the episodes.
        """
        self._engine.reset(ids)
        self._forget(ids)
        for world, seed in zip(ids.tolist(), seeds, strict=True):
            common, noise = self._common_factors.start(world, int(seed), self.variation)
            with explaining_errors(self._task_name, "start"):
                own = self._task.start(world, int(seed), self.variation)
            check_start(self._task_name, own)
            self._keep(world, int(seed), {**common, **own}, noise)
        self._update_instructions()

    def _forget(self, ids: np.ndarray) -> None:
        """Undoes what earlier episodes of worlds `ids` (n,) changed in model and memory.

        A start writes only the objects that take part in its episode. Without this reset,
        the other objects would keep sizes and colours of earlier episodes.
        """
        for name, values in self._engine.model_views().items():
            values[ids] = attrgetter(name)(self._engine.model)
        for name, values in self._task.memory().items():
            values[ids] = self._first_memory[name][ids]

    def write(self, world: int, start: EpisodeStart) -> None:
        """Writes a recorded start into one world.

        Raises:
            EmbodiedError: the recorded fields or state do not fit the model.
        """
        # refuse a start of another model before anything is written
        state = self._engine.state()
        if start.state.shape != state[world].shape:
            raise EmbodiedError(
                f"recorded state has {start.state.shape[0]} numbers, this model {state.shape[1]}: "
                "replay it with the task, robot and version that recorded it"
            )

        # write model fields, the task's memory, the encoder bias and the state
        self._engine.reset(np.array([world]))
        for name, value in start.fields.items():
            target = self._field(name)
            if target.shape[1:] != np.shape(value):
                raise EmbodiedError(
                    f"recorded {name} is {np.shape(value)}, this model's {target.shape[1:]}: "
                    "replay it with the task, robot and version that recorded it"
                )
            target[world] = value
        if ENCODER_BIAS not in start.fields:
            raise EmbodiedError(f"the recorded start has no {ENCODER_BIAS}")
        state[world] = start.state

        pixel_sigma = float(start.variation.get("pixel_noise", 0.0))
        noise = SensorNoise(start.fields[ENCODER_BIAS], pixel_sigma)
        self._keep(world, start.seed, start.variation, noise)
        self._update_instructions()

    def _field(self, name: str) -> np.ndarray:
        """Returns the array (N, ...) to which a field of a start is written.

        It is the encoder bias, an array of the task's memory, or a field of the model.

        Raises:
            EmbodiedError: there is no such array.
        """
        if name == ENCODER_BIAS:
            return self._proprioception.bias
        memory = self._task.memory()
        memory_name = name.removeprefix(TASK_PREFIX)
        if memory_name != name and memory_name in memory:
            return memory[memory_name]
        try:
            return self._engine.model_view(name)
        except ValueError as error:
            raise EmbodiedError(
                f"the recorded start has {name}, which this model and task have not"
            ) from error

    def change_looks(self, world: int, looks: Mapping[str, Any]) -> None:
        """Changes light, cameras and pixel noise of one world's recorded episode.

        Args:
            world: index of a world whose recorded start `write` has just written.
            looks: new values for some of the variables in `LOOKS`.

        Raises:
            EmbodiedError: the recording lacks values of the other variables in `LOOKS`.
        """
        sampled = {**self.sampled[world], **looks}
        missing = [name for name in LOOKS if name not in sampled]
        if missing:
            raise EmbodiedError(
                f"the recording has no values of {', '.join(missing)}: give values "
                "for all of them, or leave the looks as recorded"
            )
        self._common_factors.set_look(world, sampled)
        self.sampled[world] = _stored(sampled)
        self.pixel_sigma[world] = float(sampled["pixel_noise"])

    def _keep(
        self, world: int, seed: int, sampled: dict[str, Any], noise: SensorNoise
    ) -> None:
        """Stores the sampled values of one world's episode."""
        self.seeds[world] = seed
        self.sampled[world] = _stored(sampled)
        self.pixel_sigma[world] = noise.pixel_sigma
        self._proprioception.bias[world] = noise.encoder_bias

    def _update_instructions(self) -> None:
        """Updates the instructions from the sampled values.

        The instruction of a world is "" before its first episode.
        """
        self.instructions = tuple(
            values.get("instruction", "") for values in self.sampled
        )

    def memory(self) -> dict[str, np.ndarray]:
        """Returns what is kept of the episodes: arrays (N, ...) by name, not copies."""
        return {
            "seed": self.seeds,
            "pixel_sigma": self.pixel_sigma,
            "start_state": self._start_states,
        }

    def recall(self, ids: np.ndarray, sampled: Sequence[Mapping[str, Any]]) -> None:
        """Replaces the sampled values of some worlds, after the arrays of `memory` were written.

        Args:
            ids: (n,) the worlds.
            sampled: the n mappings from variable to value.
        """
        for world, values in zip(ids.tolist(), sampled, strict=True):
            self.sampled[world] = dict(values)
        self._update_instructions()

    def keep_start_states(self, ids: np.ndarray) -> None:
        """Stores the present states of worlds `ids` (n,) as their start states."""
        self._start_states[ids] = self._engine.state()[ids]

    def put_back(self, ids: np.ndarray) -> None:
        """Resets worlds `ids` (n,) that have a fault to their start states."""
        self._engine.reset(ids)
        self._engine.state()[ids] = self._start_states[ids]
        self._engine.refresh(ids)

    def start_of(self, world: int) -> EpisodeStart:
        """Returns the start of a world's episode; valid only right after the reset."""
        varied = self._engine.model_views()
        fields = {name: values[world].copy() for name, values in varied.items()}
        for name, values in self._task.memory().items():
            fields[f"{TASK_PREFIX}{name}"] = values[world].copy()
        fields[ENCODER_BIAS] = self._proprioception.bias[world].copy()

        return EpisodeStart(
            seed=int(self.seeds[world]),
            state=self._engine.state()[world].copy(),
            fields=fields,
            variation=self.sampled[world],
        )


def _stored(sampled: Mapping[str, Any]) -> dict[str, Any]:
    """Returns sampled values in plain Python types, as they are stored.

    Raises:
        EmbodiedError: a value cannot be stored as JSON.
    """
    values = to_python(sampled)
    # check all values at once; only if that fails, search for the value to name
    if why_not_json(values):
        for name, value in values.items():
            reason = why_not_json({name: value})
            if reason:
                raise EmbodiedError(
                    f"start returned {value!r} as {name!r}, which cannot be stored: "
                    f"{reason}. Return numbers, words, lists of them, or None"
                )
    return values


def state_checksum(state: np.ndarray) -> np.ndarray:
    """Returns a checksum per row, which changes if a single bit of the row changes.

    Args:
        state: (N, K) float64, such as positions and velocities of N worlds.

    Returns:
        (N,) uint64.
    """
    words = np.ascontiguousarray(state).view(np.uint64)
    # Each column has another factor, so that also swapped values change the sum. Factors
    # are odd, because a multiplication by an odd number modulo 2^64 loses no bits.
    odd_numbers = np.arange(1, 2 * words.shape[1], 2, dtype=np.uint64)
    factors = odd_numbers * _CHECKSUM_FACTOR
    return (words * factors).sum(axis=1, dtype=np.uint64)
