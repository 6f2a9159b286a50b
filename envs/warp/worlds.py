"""N worlds on a GPU: reset, observed and stepped without asking the device anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from embodied.core import PHYSICS_HZ, seconds_to_ticks
from embodied.envs.config import EnvConfig
from embodied.envs.proprioception import Proprioception
from embodied.envs.scoring import SUCCESS_HOLD_S
from embodied.envs.spaces import Shown
from embodied.envs.warp.graph import CudaGraphs, StepGraph
from embodied.envs.warp.starts import StartBank, draw_starts, peak_of
from embodied.envs.worlds import Worlds
from embodied.robots.control import RobotControl
from embodied.sim.engine import FAULTS
from embodied.sim.warp.device import naming_lack_of_memory
from embodied.sim.warp.engine import Buffers, WarpEngine, usable_device

if TYPE_CHECKING:
    from embodied.sim.warp.feed import WarpFeed

PROBED = 32  # worlds of which the contacts are counted


@dataclass(frozen=True)
class WarpStepResult:
    """What one control step did; worlds that ended have already begun anew."""

    agent_pos: torch.Tensor  # (N, P)
    environment_state: torch.Tensor  # (N, E)
    final_agent_pos: torch.Tensor  # (N, P), of before new episodes began
    final_environment_state: torch.Tensor  # (N, E)
    reward: torch.Tensor  # (N,) in [0, 1]
    success: torch.Tensor  # (N,) bool, held for 0.5 s
    progress: torch.Tensor  # (N,)
    terminated: torch.Tensor  # (N,) bool
    truncated: torch.Tensor  # (N,) bool
    fault: torch.Tensor  # (N,) int64, index into FAULTS


class WarpWorlds:
    """The same task as `Worlds`, as torch tensors on the device of the engine `warp`.

    Starts come from a bank of `num_starts`, drawn on the host from consecutive seeds;
    world i begins with start i and takes every N-th further on. Raises EmbodiedError as
    `WarpEngine` does.
    """

    def __init__(
        self,
        config: EnvConfig,
        num_worlds: int,
        num_starts: int,
        device: str = "cuda",
        seed: int = 0,
    ) -> None:
        # drawing the starts takes a while: what cannot be shows before
        usable_device(device)
        host = Worlds(replace(config, engine="cpu"), num_starts)
        bank = draw_starts(host, seed)
        peak = peak_of(Worlds(host.config, min(PROBED, num_starts)), seed)
        buffers = Buffers.of(
            num_worlds, peak.mean_contacts, peak.contacts, peak.constraints
        )
        begin = torch.arange(num_worlds) % num_starts
        fields = {name: values[begin.numpy()] for name, values in bank.fields.items()}
        self.config = host.config
        self.num_worlds = num_worlds
        self.robot = host.robot
        self.spec = host.spec
        self.engine = WarpEngine(host.model, num_worlds, buffers, fields, device)
        self.device = torch.device(self.engine.device)
        self.instructions = bank.instructions
        with self.device, naming_lack_of_memory(num_worlds, self.engine.bytes_a_world):
            self._bank = _Bank(bank, self.engine)
            self.task = self.spec.bind(self.engine, self.robot)
            self.control = RobotControl(
                self.robot, self.engine, config.control_mode, config.control_hz
            )
            self.proprioception = Proprioception(self.engine, self.robot)
            self.start_index = begin.to(self.device)  # (N,) of the present episodes
            self._tick, self._held = (
                torch.zeros(num_worlds, dtype=torch.int64) for _ in range(2)
            )
            self._kinds = torch.arange(len(FAULTS))
            # episodes that each fault has ended
            self._fault_counts = torch.zeros_like(self._kinds)
        self.ticks_per_step = PHYSICS_HZ // config.control_hz
        self._horizon = seconds_to_ticks(host.horizon_s)
        self._hold = seconds_to_ticks(SUCCESS_HOLD_S)
        self._goal = config.goal_progress if config.goal_progress < 1 else float("inf")
        self.interface = host.interface
        self.agent_layout = host.agent_layout
        self.state_layout = host.state_layout
        self.space = Shown(host).space
        self.feed = _feed(host, self.engine) if config.obs != "state" else None
        recorder = (
            CudaGraphs(self.engine.streams, self.device)
            if self.device.type == "cuda"
            else None
        )
        self._graph = StepGraph(
            self._step, (num_worlds, len(self.interface.low)), self.device, recorder
        )

    def reset(
        self, starts: Sequence[int] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """New episodes everywhere: `agent_pos` (N, P) and `environment_state` (N, E).

        Worlds go on to their next starts, or begin with `starts` (N,), counted round
        the bank.
        """
        with self.device:
            if self.feed is not None and not self.feed.learned:
                self._show_starts(self.feed)
            if starts is not None:
                self.start_index[...] = torch.tensor(
                    [start % len(self.instructions) for start in starts]
                )
                # so that these are not taken for starts that were used
                self._tick.zero_()
            self._begin(torch.ones(self.num_worlds, dtype=torch.bool))
            return self.observe()

    def _show_starts(self, feed: WarpFeed) -> None:
        """Puts worlds at every start of the bank, as many at a time as there are
        worlds, for their first frames.
        """
        begin = self.start_index.clone()
        for first in range(0, len(self.instructions), self.num_worlds):
            self.start_index[...] = (begin + first) % len(self.instructions)
            self._begin(torch.ones(self.num_worlds, dtype=torch.bool))
            feed.learn(self.start_index)
        self.start_index[...] = begin

    def observe(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Proprioception (N, P) and privileged state (N, E)."""
        return _finite(self.proprioception.read()), _finite(self.task.state())

    def step(self, actions: torch.Tensor) -> WarpStepResult:
        """One control step of all worlds. A world given NaN or inf is flagged and
        begins anew; so does a broken one.

        On a GPU the second call captures a CUDA graph, which later ones launch. The
        tensors are the caller's own.
        """
        with naming_lack_of_memory(self.num_worlds, self.engine.bytes_a_world):
            return WarpStepResult(*self._graph(actions))

    @property
    def captured(self) -> bool:
        """Whether steps are launches of a CUDA graph by now."""
        return self._graph.captured

    def fault_counts(self) -> dict[str, int]:
        """How many episodes each fault has ended so far, by its name; waits for the
        device.
        """
        counts = zip(FAULTS, self._fault_counts.tolist(), strict=True)
        return {name: count for name, count in counts if name and count}

    def _step(self, actions: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The fields of a WarpStepResult. It is captured: nothing is asked of the device,
        and state is written in place.
        """
        bad = ~torch.isfinite(actions).all(1)
        self.task.before_step(self._tick)
        self.control.apply(torch.where(bad[:, None], 0.0, actions).clamp(-1, 1))
        self.engine.step(self.ticks_per_step)
        self._tick += self.ticks_per_step
        done = self._finish(
            torch.where(bad, FAULTS.index("action_not_finite"), self.engine.faults())
        )
        return tuple(getattr(done, field.name) for field in fields(done))

    def _finish(self, fault: torch.Tensor) -> WarpStepResult:
        outcome = self.task.judge()
        sound = fault == 0
        self._held[...] = (self._held + self.ticks_per_step) * (
            (outcome.success | (outcome.progress >= self._goal)) & sound
        )
        success = self._held >= self._hold
        terminated = (
            outcome.lost | ~sound | (success & self.config.terminate_on_success)
        )
        truncated = (self._tick >= self._horizon) & ~terminated
        last = self.observe()
        if self.feed is not None:
            self.feed.take(self._tick)
        progress = torch.where(sound, outcome.progress, 0.0)
        self._fault_counts += (fault[:, None] == self._kinds).sum(0)
        self._begin(terminated | truncated)
        return WarpStepResult(
            *self.observe(),
            *last,
            progress,  # which is the reward
            success,
            progress,
            terminated,
            truncated,
            fault,
        )

    def _begin(self, which: torch.Tensor) -> None:
        """New episodes in the worlds `which` (N,) bool."""
        index = (self.start_index + self.num_worlds * (self._tick > 0)) % len(
            self.instructions
        )
        self.start_index[...] = torch.where(which, index, self.start_index)
        self._bank.load(
            which, self.start_index, self.task.parameters(), self.proprioception
        )
        self.engine.forget_faults(which)
        self._tick[...] = torch.where(which, 0, self._tick)
        self._held[...] = torch.where(which, 0, self._held)
        self.engine.refresh()
        self.control.reset(which)
        if self.feed is not None:
            self.feed.begin(which, self.start_index)


def _feed(host: Worlds, engine: WarpEngine) -> WarpFeed:
    from embodied.sim.warp.cameras import WarpCameras  # which needs Warp at once
    from embodied.sim.warp.feed import WarpFeed

    size = host.config.image_size
    sigma = np.array(
        [host.variation_of(i).get("pixel_noise", 0.0) for i in range(host.num_worlds)]
    )
    return WarpFeed(
        engine,
        WarpCameras(engine, host.cameras, size, size),
        sigma,
        host.config.camera_hz,
    )


class _Bank:
    """The starts in the device's memory."""

    def __init__(self, bank: StartBank, engine: WarpEngine) -> None:
        self._engine = engine
        varied = engine.varied()
        self._state = {
            name: _as(values, engine.view(name)) for name, values in bank.state.items()
        }
        self._fields = {
            name: _as(values, varied[name]) for name, values in bank.fields.items()
        }
        self._parameters = {
            name: torch.as_tensor(values) for name, values in bank.parameters.items()
        }
        self._bias = torch.as_tensor(bank.encoder_bias, dtype=torch.float32)

    def load(
        self,
        which: torch.Tensor,
        index: torch.Tensor,
        parameters: Mapping[str, torch.Tensor],
        proprioception: Proprioception,
    ) -> None:
        """Writes start `index` (N,) into the worlds `which` (N,) bool."""
        varied = self._engine.varied()
        for name, rows in self._state.items():
            _put(self._engine.view(name), which, rows[index])
        for name, rows in self._fields.items():
            _put(varied[name], which, rows[index])
        for name, rows in self._parameters.items():
            _put(parameters[name], which, rows[index].to(parameters[name].dtype))
        _put(proprioception.bias, which, self._bias[index])


def _as(values: object, like: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(values, dtype=like.dtype)


def _put(target: torch.Tensor, which: torch.Tensor, values: torch.Tensor) -> None:
    target[...] = torch.where(which.view(-1, *[1] * (target.ndim - 1)), values, target)


def _finite(values: torch.Tensor) -> torch.Tensor:
    return torch.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
