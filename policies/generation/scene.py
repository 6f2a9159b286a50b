"""Reads the poses of hands and objects from the observations of worlds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from embodied.core import Observation
from embodied.envs.worlds import Worlds
from embodied.policies.generation.library import ObjectState
from embodied.policies.generation.source import task_objects
from embodied.rotations import quat_from_rot6d


@dataclass(frozen=True)
class Scene:
    """The hands and objects of n worlds at a moment.

    Attributes:
        names: the names of the O objects.
        pos_w: (n, O, 3) m, the positions of the objects.
        quat_wxyz: (n, O, 4) the rotations of the objects.
        traits: for each object an array (n, k) of other values that influence how the
            object is handled, such as its size.
        hand_pos_w: (n, 3) m, the positions of the hands.
        hand_quat_wxyz: (n, 4) the rotations of the hands.
        tick: (n,) the tick of each world's clock.
    """

    names: list[str]
    pos_w: np.ndarray
    quat_wxyz: np.ndarray
    traits: list[np.ndarray]
    hand_pos_w: np.ndarray
    hand_quat_wxyz: np.ndarray
    tick: np.ndarray

    def rows(self, ids: np.ndarray) -> Scene:
        """Returns the scene of worlds `ids` (n,) only."""
        return Scene(
            names=self.names,
            pos_w=self.pos_w[ids],
            quat_wxyz=self.quat_wxyz[ids],
            traits=[traits[ids] for traits in self.traits],
            hand_pos_w=self.hand_pos_w[ids],
            hand_quat_wxyz=self.hand_quat_wxyz[ids],
            tick=self.tick[ids],
        )

    def object_states(self, k: int) -> Mapping[str, ObjectState]:
        """Returns the states of the objects in row `k`, by name."""
        return {
            name: ObjectState(
                self.pos_w[k, index], self.quat_wxyz[k, index], self.traits[index][k]
            )
            for index, name in enumerate(self.names)
        }


class SceneReader:
    """Reads the scenes of worlds from observations with the privileged state."""

    def __init__(self, worlds: Worlds) -> None:
        """Finds the hand in proprioception, and the objects in the privileged state."""
        effector = worlds.robot.effectors[0]
        agent_slices = worlds.agent_layout.slices()
        self._pos_slice = agent_slices[f"{effector.name}_pos_w"]
        self._rot6d_slice = agent_slices[f"{effector.name}_rot6d"]
        self._objects = task_objects(worlds.spec.name)
        self._state_slices = worlds.state_layout.slices()

    def read(self, observation: Observation) -> Scene:
        """Returns the poses of the hand and of the objects in n worlds."""
        state = np.asarray(observation.environment_state)
        agent = np.asarray(observation.agent_pos)
        state_entries = {
            name: state[:, columns] for name, columns in self._state_slices.items()
        }
        poses = self._objects.poses(np, state_entries)

        # an object whose rotation does not matter gets the identity
        quats = []
        traits = []
        for pose in poses.values():
            no_rotation = np.tile([1.0, 0.0, 0.0, 0.0], (len(state), 1))
            quats.append(no_rotation if pose.quat_wxyz is None else pose.quat_wxyz)
            no_traits = np.zeros((len(state), 0))
            traits.append(no_traits if pose.traits is None else pose.traits)
        return Scene(
            names=list(poses),
            pos_w=np.stack([pose.pos_w for pose in poses.values()], axis=1),
            quat_wxyz=np.stack(quats, axis=1),
            traits=traits,
            hand_pos_w=agent[:, self._pos_slice],
            hand_quat_wxyz=quat_from_rot6d(agent[:, self._rot6d_slice]),
            tick=np.asarray(observation.tick),
        )
