"""Samples the starts of episodes on the host, once, for worlds on a GPU.

A start is the state in which an episode begins.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from embodied.envs.worlds import Worlds
from embodied.sim.warp.engine import STATE

# Model fields that MuJoCo computes from fields that tasks vary, so that worlds may differ
# in them, too.
DERIVED = (
    "body_subtreemass",
    "body_invweight0",
    "dof_invweight0",
    "geom_rbound",
    "geom_aabb",
    "tendon_length0",
    "tendon_invweight0",
    "actuator_acc0",
    "cam_pos0",
    "cam_poscom0",
    "light_dir0",
    "light_poscom0",
)
# Contacts are counted during PROBE_S of random actions, each of which is repeated for
# REPEAT_S.
PROBE_S = 3.0
REPEAT_S = 0.25


@dataclass(frozen=True)
class StartBank:
    """S starts of one task and robot.

    Attributes:
        state: field of MjData -> its values in each start (S, ...).
        fields: field of MjModel in which the starts differ -> its values (S, ...).
        parameters: name -> values (S, ...) of the task's `memory()`, such as targets and
            future events.
        encoder_bias: (S, J) rad or m, the constant error of each joint's encoder.
        progress: (S,) the initial progress.
        instructions: the S instructions, one sentence each.
    """

    state: dict[str, np.ndarray]
    fields: dict[str, np.ndarray]
    parameters: dict[str, np.ndarray]
    encoder_bias: np.ndarray
    progress: np.ndarray
    instructions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.instructions)

    def hash(self) -> str:
        """Returns the SHA-256 of the starts, in hexadecimal."""
        digest = hashlib.sha256("\n".join(self.instructions).encode())
        for arrays in (self.state, self.fields, self.parameters):
            for name in sorted(arrays):
                digest.update(arrays[name].tobytes())
        digest.update(self.encoder_bias.tobytes())
        return digest.hexdigest()


def sample_starts(worlds: Worlds, first_seed: int) -> StartBank:
    """Resets worlds with consecutive seeds, and returns one start from each world.

    Args:
        worlds: the worlds to reset, S of them.
        first_seed: the seed of the first world.
    """
    num = worlds.num_worlds
    worlds.reset(np.arange(num), range(first_seed, first_seed + num))

    view = worlds.engine.view
    parameters = worlds.task.memory()
    # leave out state fields without elements, because the model lacks such things: mocap
    # poses, for example, if it has no mocap bodies
    return StartBank(
        state={name: np.array(view(name)) for name in STATE if view(name).size},
        fields=_differing_fields(worlds),
        parameters={name: np.array(values) for name, values in parameters.items()},
        encoder_bias=worlds.proprioception.bias.copy(),
        progress=np.array(worlds.task.judge().progress),
        instructions=worlds.instructions,
    )


def _differing_fields(worlds: Worlds) -> dict[str, np.ndarray]:
    """Returns the varied model fields, and the derived fields in which worlds differ.

    Returns:
        Name of a field -> its values (S, ...) in each world.
    """
    varied = worlds.engine.model_views()
    fields = {name: np.array(values) for name, values in varied.items()}

    derived: dict[str, list[np.ndarray]] = {
        name: [] for name in DERIVED if name not in fields
    }
    # collect the values that MuJoCo has computed for each world's model
    for world in range(worlds.num_worlds):
        model = worlds.engine.world_model(world)
        for name, values_of_worlds in derived.items():
            values_of_worlds.append(np.array(getattr(model, name)))

    # keep the fields in which any world differs from the first
    for name, values_of_worlds in derived.items():
        values = np.stack(values_of_worlds)
        if (values != values[:1]).any():
            fields[name] = values
    return fields


@dataclass(frozen=True)
class ContactPeak:
    """The largest numbers of contacts and constraint rows under random actions."""

    mean_contacts: float  # the mean over worlds, at the time when this was largest
    contacts: int  # the largest number of contacts in any world
    constraints: int  # the largest number of constraint rows in any world


def measure_contact_peak(worlds: Worlds, first_seed: int = 0) -> ContactPeak:
    """Runs worlds with random actions, and returns the largest numbers of contacts.

    Args:
        worlds: the worlds to run, which are reset with consecutive seeds.
        first_seed: the seed of the first world, and of the actions.
    """
    num = worlds.num_worlds
    hz = worlds.config.control_hz
    steps = int(PROBE_S * hz)
    steps_per_action = int(np.ceil(REPEAT_S * hz))
    rng = np.random.default_rng(first_seed)
    worlds.reset(np.arange(num), range(first_seed, first_seed + num))

    # count contacts and constraint rows of each world after each step
    contacts = np.zeros((steps, num), np.int64)
    constraints = np.zeros((steps, num), np.int64)
    for step in range(steps):
        if step % steps_per_action == 0:
            action = rng.uniform(-1, 1, (num, len(worlds.interface.labels)))
        worlds.step(action)
        for world in range(num):
            data = worlds.engine.world_data(world)
            contacts[step, world] = data.ncon  # the number of contacts
            constraints[step, world] = data.nefc  # the number of constraint rows

    return ContactPeak(
        mean_contacts=float(contacts.mean(axis=1).max()),
        contacts=int(contacts.max()),
        constraints=int(constraints.max()),
    )
