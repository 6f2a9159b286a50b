"""N worlds on a GPU: reset, observed and stepped without waiting for the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from embodied.core import PHYSICS_HZ
from embodied.envs.bound import Bound
from embodied.envs.config import EnvConfig
from embodied.envs.present import Present
from embodied.envs.registry import get_task
from embodied.envs.scoring import ScoringRules, StepResult, score
from embodied.envs.snapshot import Ids, Memories, Origin, Snapshot, checked_ids
from embodied.envs.spaces import Observer
from embodied.envs.task import TaskSpec
from embodied.envs.warp.bank import DeviceBank
from embodied.envs.warp.graph import CudaGraphs, StepGraph
from embodied.envs.warp.starts import measure_contact_peak, sample_starts
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.sim.contact_force import control_step
from embodied.sim.engine import FAULTS
from embodied.sim.warp.device import explaining_out_of_memory
from embodied.sim.warp.engine import Buffers, WarpEngine, usable_device
from embodied.step_data import step_data

if TYPE_CHECKING:
    from embodied.sim.warp.feed import WarpFeed

PROBED = 32  # number of worlds in which contacts are counted, to size buffers
_BAD_ACTION = FAULTS.index("action_not_finite")


@step_data
class WarpStepResult(StepResult):
    """The result of one control step, as torch tensors on the device.

    Worlds whose episode has ended are already reset. For these worlds, `agent_pos` and
    `environment_state` are of the new episode, all other values of the ended one.
    """

    agent_pos: torch.Tensor  # (N, P) proprioception
    environment_state: torch.Tensor  # (N, S) privileged state
    # proprioception and privileged state before the reset
    final_agent_pos: torch.Tensor  # (N, P)
    final_environment_state: torch.Tensor  # (N, S)
    # the signals of `Safety` since the previous step
    contact_force_n: torch.Tensor  # (N,)
    collision: torch.Tensor  # (N,) bool
    joint_margin_rad: torch.Tensor  # (N,)


class WarpWorlds:
    """N worlds of a task on the engine `warp`, with torch tensors for all arrays.

    A start is the state in which an episode begins. Starts are sampled on the host, with
    consecutive seeds, and kept in a bank on the device. The episodes of world i begin
    with the starts i, i + N, i + 2 N and so on, modulo the bank's size.

    Args:
        config: the config of the worlds; its `engine` and `device` are ignored.
        num_worlds: the number N of worlds.
        num_starts: the number of starts in the bank.
        device: "cuda", or "cpu", which is slow, for trials without a GPU.
        seed: the seed of the bank's first start.

    Raises:
        EmbodiedError: as `Worlds` and `WarpEngine` do.
    """

    def __init__(
        self,
        config: EnvConfig,
        num_worlds: int,
        num_starts: int,
        device: str = "cuda",
        seed: int = 0,
    ) -> None:
        _require_warp(get_task(config.task))
        # check the device first, because sampling the starts takes long
        usable_device(device)
        host = Worlds(replace(config, engine="cpu"), num_starts)  # a world per start
        starts = sample_starts(host, seed)
        probe = Worlds(host.config, min(PROBED, num_starts))  # to count contacts in
        buffers = _buffers_for(num_worlds, probe, seed)

        self.config = host.config
        self._arguments = (config, num_worlds, num_starts, device, seed)  # for `copy`
        self._starts_hash = starts.hash()
        self.num_worlds = num_worlds
        self.robot = host.robot
        self.spec = host.spec
        self.instructions = starts.instructions  # of the S starts
        self.interface = host.interface
        self.agent_layout = host.agent_layout
        self.state_layout = host.state_layout
        self.space = Observer(host).space  # of one world
        self.ticks_per_step = PHYSICS_HZ // config.control_hz
        self._rules = ScoringRules.of(config, host.horizon_s)

        first = torch.arange(num_worlds) % num_starts  # (N,) the worlds' first starts
        first_fields = {
            name: values[first.numpy()] for name, values in starts.fields.items()
        }
        self.engine = WarpEngine(
            host.model, num_worlds, buffers, differing=first_fields, device=device
        )
        self.device = torch.device(self.engine.device)

        explained = explaining_out_of_memory(num_worlds, self.engine.bytes_per_world)
        with self.device, explained:
            self._bank = DeviceBank(starts, self.engine)
            self._bound = Bound.to(self.engine, self.spec, self.robot, self.config)
            self.task = self._bound.task
            self.control = self._bound.control
            self.proprioception = self._bound.proprioception
            self.start_index = first.to(self.device)  # (N,) of the present episodes
            self._tick = torch.zeros(num_worlds, dtype=torch.int64)
            self._held_ticks = torch.zeros(num_worlds, dtype=torch.int64)
            self._fault_kinds = torch.arange(len(FAULTS))
            # number of episodes that each fault has ended
            self._fault_counts = torch.zeros_like(self._fault_kinds)

        self.feed = _feed(host, self.engine) if config.obs != "state" else None
        self._present = Present(self.engine, self._origin, self._memories())
        recorder = None
        if self.device.type == "cuda":
            recorder = CudaGraphs(self.engine.streams, self.device)
        action_shape = (num_worlds, len(self.interface.labels))
        self._graph = StepGraph(self._step, action_shape, self.device, recorder)

    def reset(
        self, starts: Sequence[int] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Starts new episodes in all worlds.

        Args:
            starts: N indices of starts, taken modulo the bank's size; None for each
                world's next start.

        Returns:
            `agent_pos` (N, P) and `environment_state` (N, S).
        """
        with self.device:
            # the first frames of all starts are rendered once, at the first reset
            if self.feed is not None and not self.feed.has_first_frames:
                self._store_first_frames(self.feed)
            if starts is not None:
                wrapped = [start % len(self._bank) for start in starts]
                self.start_index[...] = torch.tensor(wrapped)
                # at tick 0, `_begin` uses `start_index` itself, not the start after it
                self._tick.zero_()
            self._begin(torch.ones(self.num_worlds, dtype=torch.bool))
            return self.observe()

    def _store_first_frames(self, feed: WarpFeed) -> None:
        """Stores the first frames of all starts in the bank, rendered N starts at a time.

        `start_index` is unchanged afterwards, but the worlds are at other starts.
        """
        original = self.start_index.clone()
        all_worlds = torch.ones(self.num_worlds, dtype=torch.bool)
        for first in range(0, len(self._bank), self.num_worlds):
            self.start_index[...] = (original + first) % len(self._bank)
            self._begin(all_worlds)
            feed.store_first_frames(self.start_index)
        self.start_index[...] = original

    def snapshot(self, worlds: Ids = None) -> Snapshot:
        """Returns the complete state of one world, of several, or of all N.

        The snapshot's arrays are tensors on the device.
        """
        return self._present.snapshot(self._ids(worlds))

    def restore(self, snapshot: Snapshot, worlds: Ids = None) -> None:
        """Restores worlds from a snapshot of these worlds, or of others of the same config.

        The next episode of each world then begins with the start after the snapshot's.

        Args:
            snapshot: a snapshot of as many worlds as `worlds`, or of one world, which all
                of them then copy; with tensors or numpy arrays.
            worlds: the index of one world, several indices, or None for all N worlds.

        Raises:
            EmbodiedError: the snapshot is of another task, robot, control mode, model
                or bank of starts, or lacks the frames of these cameras.
        """
        ids = self._ids(worlds)
        if self.feed is not None and not self.feed.has_first_frames:
            self.reset()  # renders the first frames of later episodes
        self._present.check(snapshot, len(ids))
        arrays = {
            name: torch.as_tensor(values, device=self.device)
            for name, values in snapshot.arrays.items()
        }
        self._present.restore(replace(snapshot, arrays=arrays), ids)

    def _ids(self, worlds: Ids) -> torch.Tensor:
        ids = checked_ids(worlds, self.num_worlds)
        return torch.as_tensor(ids, dtype=torch.int64, device=self.device)

    def _memories(self) -> Memories:
        """Returns the methods that return the state outside of the engine, by its owner."""
        memories = {
            **self._bound.memories(),
            "episodes": lambda: {"start_index": self.start_index},
            "scoring": lambda: {"tick": self._tick, "held_ticks": self._held_ticks},
        }
        if self.feed is not None:
            memories["cameras"] = self.feed.memory
        return memories

    def _origin(self) -> Origin:
        """Returns the properties that a snapshot must share with these worlds."""
        return Origin.of(
            task=self.spec.name,
            robot=self.robot.name,
            control_mode=self.config.control_mode,
            engine="warp",
            model=self.engine.model,
            starts_hash=self._starts_hash,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets `copy` and `pickle` make new worlds and restore a snapshot in them.

        Returns:
            The class, the arguments of its constructor, and that of `__setstate__`.
        """
        return type(self), self._arguments, self.snapshot()

    def __setstate__(self, snapshot: Snapshot) -> None:
        self.restore(snapshot)

    def observe(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns proprioception (N, P) and privileged state (N, S)."""
        return _finite(self.proprioception.read()), _finite(self.task.state())

    def start_progress(self) -> torch.Tensor:
        """Returns the initial progress (N,) of the current episodes."""
        return self._bank.progress[self.start_index]

    def step(self, actions: torch.Tensor) -> WarpStepResult:
        """Makes one control step in all worlds.

        A world with a NaN or inf in its action, or with a diverged simulation, gets a
        fault and is reset. On a GPU, the second call captures a CUDA graph, and later
        calls launch it.

        Args:
            actions: (N, A) in [-1, 1]; values beyond are clipped.

        Returns:
            The result, as tensors that later steps do not overwrite.
        """
        with explaining_out_of_memory(self.num_worlds, self.engine.bytes_per_world):
            return WarpStepResult(*self._graph(actions))

    @property
    def captured(self) -> bool:
        """Whether steps launch a CUDA graph."""
        return self._graph.captured

    def fault_counts(self) -> dict[str, int]:
        """Returns, by fault, how many episodes that fault has ended so far.

        Faults that have not occurred are left out. The call waits for the device.
        """
        counts = zip(FAULTS, self._fault_counts.tolist(), strict=True)
        # the first of FAULTS, for worlds without a fault, is the empty string
        return {name: count for name, count in counts if name and count}

    def _step(self, actions: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Makes a control step, and returns the fields of a WarpStepResult in order.

        This function is captured as a CUDA graph, so it must not read values from the
        device, and must write state in place.
        """
        # worlds with a NaN or inf in their action get the action 0
        is_bad_action = ~torch.isfinite(actions).all(1)  # (N,)
        self.task.before_step(self._tick)
        valid_actions = torch.where(is_bad_action[:, None], 0.0, actions)
        self.control.apply(valid_actions.clamp(-1, 1))
        control_step(self.engine, self.ticks_per_step)
        self._tick += self.ticks_per_step

        # whether episodes have ended, by success, time limit or fault
        fault = torch.where(is_bad_action, _BAD_ACTION, self.engine.faults())
        result, held_ticks = score(
            self._rules,
            self.task.judge(),
            fault=fault,
            tick=self._tick,
            held_ticks=self._held_ticks,
            joint_target=self.control.joint_target.clone(),
        )
        self._held_ticks[...] = held_ticks
        self._fault_counts += (fault[:, None] == self._fault_kinds).sum(0)

        # signals and observations of the ended episodes, before their worlds are reset
        safety = self._bound.safety.read(self.ticks_per_step)
        final_agent_pos, final_environment_state = self.observe()
        if self.feed is not None:
            self.feed.take(self._tick)

        self._begin(result.terminated | result.truncated)
        agent_pos, environment_state = self.observe()
        warp_result = WarpStepResult(
            **vars(result),
            agent_pos=agent_pos,
            environment_state=environment_state,
            final_agent_pos=final_agent_pos,
            final_environment_state=final_environment_state,
            contact_force_n=_finite(safety.contact_force_n),
            collision=safety.collision,
            joint_margin_rad=_finite(safety.joint_margin_rad),
        )
        return tuple(getattr(warp_result, field.name) for field in fields(warp_result))

    def _begin(self, which: torch.Tensor) -> None:
        """Starts new episodes in some of the worlds.

        This function is part of a captured step, so its Python code must not depend on
        values of `which`.

        Args:
            which: (N,) bool, whether to start a new episode in each world.
        """
        # a world that has not moved since its reset keeps its start
        has_moved = self._tick > 0
        next_start = (self.start_index + self.num_worlds * has_moved) % len(self._bank)
        self.start_index[...] = torch.where(which, next_start, self.start_index)

        self._bank.load(
            which, self.start_index, self.task.memory(), self.proprioception.bias
        )
        self.engine.forget_faults(which)
        self._tick[...] = torch.where(which, 0, self._tick)
        self._held_ticks[...] = torch.where(which, 0, self._held_ticks)
        # Compute what the engine derives from states, such as poses of bodies. Watchers,
        # which follow values over physics steps, must forget the old states.
        self.engine.refresh()
        for watcher in self.engine.watchers:
            watcher.forget(which)
        self.control.reset(which)
        if self.feed is not None:
            self.feed.begin(which, self.start_index)


def _buffers_for(num_worlds: int, probe: Worlds, seed: int) -> Buffers:
    """Returns sizes of the engine's buffers for N worlds, measured in the worlds `probe`.

    The buffers suffice for the contacts that random actions cause.
    """
    peak = measure_contact_peak(probe, seed)
    return Buffers.of(num_worlds, peak.mean_contacts, peak.contacts, peak.constraints)


def _require_warp(task: TaskSpec) -> None:
    """Raises EmbodiedError for a task that only the engine `cpu` can run."""
    if task.cpu_only:
        raise EmbodiedError(
            f"task {task.name} runs on the engine 'cpu' alone: {task.cpu_only}; leave out "
            "engine='warp'"
        )


def _feed(host: Worlds, engine: WarpEngine) -> WarpFeed:
    """Returns the feed of camera frames for N worlds, with the noise of each start."""
    # imported here because it needs Warp
    from embodied.sim.warp.cameras import WarpCameras
    from embodied.sim.warp.feed import WarpFeed

    size = host.config.image_size
    # for each start, which is a world of the host, the standard deviation of the pixel
    # noise in grey levels
    sigma = []
    for world in range(host.num_worlds):
        sigma.append(host.variation_of(world).get("pixel_noise", 0.0))
    cameras = WarpCameras(engine, host.cameras, size, size)
    return WarpFeed(engine, cameras, np.array(sigma), host.config.camera_hz)


def _finite(values: torch.Tensor) -> torch.Tensor:
    """Returns values with 0 in place of NaN and infinity.

    Worlds whose simulation has diverged have such values until they are reset.
    """
    return torch.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
