"""Starts of episodes, drawn on the host once: what worlds on a device begin their episodes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied.envs.worlds import Worlds

# Model fields that MuJoCo derives from those that tasks vary; worlds differ in them, too.
DERIVED = (
    *("body_subtreemass", "body_invweight0", "dof_invweight0", "geom_rbound", "geom_aabb"),
    *("tendon_length0", "tendon_invweight0", "actuator_acc0", "cam_pos0", "cam_poscom0", "light_dir0", "light_poscom0"),
)
STATE = (
    *("time", "qpos", "qvel", "act", "history", "qacc_warmstart", "ctrl", "qfrc_applied", "xfrc_applied"),
    *("mocap_pos", "mocap_quat"),
)
PROBE_S = 1.5  # of random actions, to see how many contacts there are


@dataclass(frozen=True)
class StartBank:
    """B starts of one task and robot."""

    state: dict[str, np.ndarray]  # (B, ...)
    fields: dict[str, np.ndarray]  # model fields in which they differ, (B, ...)
    parameters: dict[str, np.ndarray]  # of the task, (B, ...)
    encoder_bias: np.ndarray  # (B, J)
    instructions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.instructions)


def draw_starts(worlds: Worlds, first_seed: int) -> StartBank:
    """A start for each of the worlds, of consecutive seeds."""
    num = worlds.num_worlds
    worlds.reset(np.arange(num), range(first_seed, first_seed + num))
    view = worlds.engine.view
    return StartBank(
        state={name: np.array(view(name)) for name in STATE if view(name).size},
        fields=_differing(worlds),
        parameters={name: np.array(values) for name, values in worlds.task.parameters().items()},
        encoder_bias=worlds.proprioception.bias.copy(),
        instructions=worlds.instructions,
    )


def _differing(worlds: Worlds) -> dict[str, np.ndarray]:
    fields = {name: np.array(values) for name, values in worlds.engine.varied().items()}
    derived: dict[str, list[np.ndarray]] = {name: [] for name in DERIVED if name not in fields}
    for world in range(worlds.num_worlds):
        model = worlds.engine.world_model(world)
        for name, rows in derived.items():
            rows.append(np.array(getattr(model, name)))
    stacked = {name: np.stack(rows) for name, rows in derived.items()}
    return fields | {name: values for name, values in stacked.items() if (values != values[:1]).any()}


def most_at_once(worlds: Worlds, seed: int = 0) -> tuple[int, int]:
    """The most contacts and constraint rows that any world had under random actions."""
    rng, steps = np.random.default_rng(seed), int(PROBE_S * worlds.config.control_hz)
    most = np.zeros(2, np.int64)
    for _ in range(steps):
        worlds.step(rng.uniform(-1, 1, (worlds.num_worlds, len(worlds.interface.low))))
        for world in range(worlds.num_worlds):
            data = worlds.engine.world_data(world)
            most = np.maximum(most, (data.ncon, data.nefc))
    return int(most[0]), int(most[1])
