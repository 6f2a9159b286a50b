"""Starts of episodes, drawn on the host once: what worlds on a device begin their
episodes from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied.envs.worlds import Worlds

# Model fields that MuJoCo derives from those that tasks vary; worlds differ in them,
# too.
DERIVED = (
    *(
        "body_subtreemass",
        "body_invweight0",
        "dof_invweight0",
        "geom_rbound",
        "geom_aabb",
    ),
    *(
        "tendon_length0",
        "tendon_invweight0",
        "actuator_acc0",
        "cam_pos0",
        "cam_poscom0",
        "light_dir0",
        "light_poscom0",
    ),
)
STATE = (
    *(
        "time",
        "qpos",
        "qvel",
        "act",
        "history",
        "qacc_warmstart",
        "ctrl",
        "qfrc_applied",
        "xfrc_applied",
    ),
    *("mocap_pos", "mocap_quat"),
)
# of random actions, to see how many contacts there are
PROBE_S = 3.0
HOLD_S = 0.25


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
        parameters={
            name: np.array(values) for name, values in worlds.task.parameters().items()
        },
        encoder_bias=worlds.proprioception.bias.copy(),
        instructions=worlds.instructions,
    )


def _differing(worlds: Worlds) -> dict[str, np.ndarray]:
    fields = {name: np.array(values) for name, values in worlds.engine.varied().items()}
    derived: dict[str, list[np.ndarray]] = {
        name: [] for name in DERIVED if name not in fields
    }
    for world in range(worlds.num_worlds):
        model = worlds.engine.world_model(world)
        for name, rows in derived.items():
            rows.append(np.array(getattr(model, name)))
    stacked = {name: np.stack(rows) for name, rows in derived.items()}
    return fields | {
        name: values for name, values in stacked.items() if (values != values[:1]).any()
    }


@dataclass(frozen=True)
class Peak:
    """The most contacts and constraint rows that worlds had under random actions."""

    mean_contacts: float  # of all worlds at one time
    contacts: int  # of any world
    constraints: int  # of any world


def peak_of(worlds: Worlds, first_seed: int = 0) -> Peak:
    """Begins episodes, drives the worlds with random actions, each held for a while,
    and counts.
    """
    num = worlds.num_worlds
    hz = worlds.config.control_hz
    rng = np.random.default_rng(first_seed)
    counts = np.zeros((int(PROBE_S * hz), num, 2), np.int64)
    worlds.reset(np.arange(num), range(first_seed, first_seed + num))
    for step, now in enumerate(counts):
        if step % int(np.ceil(HOLD_S * hz)) == 0:
            action = rng.uniform(-1, 1, (num, len(worlds.interface.low)))
        worlds.step(action)
        for world in range(num):
            data = worlds.engine.world_data(world)
            now[world] = data.ncon, data.nefc
    contacts, constraints = counts.max(axis=(0, 1)).tolist()
    return Peak(float(counts[..., 0].mean(axis=1).max()), contacts, constraints)
