"""The distance of a robot's links from scenery and people, on the engine `cpu`."""

from __future__ import annotations

import copy

import mujoco
import numpy as np

from embodied.arrays import dot
from embodied.robots.robot import Robot
from embodied.sim.engine import HostEngine


class LinkGaps:
    """Computes how close the links of a robot are to scenery and people, in N worlds.

    Links are the bodies that the joints of arms, torsos, waists and driving bases move.
    Grippers do not count as links, because they must come close to things to work. Pairs
    of geoms that are close while the robot is at home, such as wheels and floor, are left
    out.
    """

    def __init__(self, engine: HostEngine, robot: Robot, limit_m: float) -> None:
        """Finds the collision geoms of links and scenery, and their pairs.

        Args:
            engine: the physics of the worlds.
            robot: the robot in the worlds.
            limit_m: the largest distance that is computed; farther geoms count as so far
                away.
        """
        self._engine = engine
        self._limit_m = limit_m
        # `mj_geomDistance` reads sizes from a model and poses from data, so here are a
        # model and data into which the sizes and poses of one world at a time are copied
        self._model = copy.copy(engine.world_model(0))
        self._data = mujoco.MjData(self._model)

        # L geoms of links and S geoms of scenery, and which pairs of them are compared
        self._links, self._scenery = _geoms_of(self._model, robot)
        self._is_pair = self._pairs_apart_at_home()  # (L, S)

        # for a first, cheap estimate: bounding spheres of links, bounding boxes of scenery
        boxes = self._model.geom_aabb[self._scenery]
        self._radius_m = self._model.geom_rbound[self._links]  # (L,)
        self._box_middle_m = boxes[:, :3]  # (S, 3) in the geom's frame
        self._box_half_m = boxes[:, 3:]  # (S, 3)

        # views of the engine's state
        self._pos_w = engine.view("geom_xpos")  # (N, ngeom, 3)
        self._xmat = engine.view("geom_xmat")  # (N, ngeom, 9)

    def smallest_m(self, ids: np.ndarray) -> np.ndarray:
        """Returns the smallest distance of any link from scenery or people, now.

        Args:
            ids: (n,) indices of the worlds.

        Returns:
            (n,) m, at most `limit_m`, and 0 or less if a link touches something.
        """
        is_close = self._is_close(ids)
        distances_m = np.full(len(ids), self._limit_m)
        # compute exact distances only for the few pairs that may be close
        for k in np.flatnonzero(is_close.any(axis=(1, 2))):
            self._take_poses_and_sizes(int(ids[k]))
            links, scenery = np.nonzero(is_close[k])
            distances_m[k] = min(
                self._distance_m(link, thing)
                for link, thing in zip(
                    self._links[links], self._scenery[scenery], strict=True
                )
            )
        return distances_m

    def _is_close(self, ids: np.ndarray) -> np.ndarray:
        """Returns (n, L, S) bool, whether each pair may be closer than `limit_m`.

        Args:
            ids: (n,) indices of the worlds.
        """
        links_w = self._pos_w[ids][:, self._links, None]  # (n, L, 1, 3)
        scenery_w = self._pos_w[ids][:, None, self._scenery]  # (n, 1, S, 3)
        rotation = self._xmat[ids][:, None, self._scenery].reshape(
            len(ids), 1, len(self._scenery), 3, 3
        )

        # The middle of each link in the frame of each geom of the scenery. The axes of
        # this frame are the columns of the rotation matrix.
        axes_w = np.moveaxis(rotation, -1, -2)
        local = dot(axes_w, (links_w - scenery_w)[..., None, :])  # (n, L, S, 3)

        # the distance from the scenery's bounding box to the link's bounding sphere
        outside_m = np.abs(local - self._box_middle_m) - self._box_half_m
        outside_m = np.maximum(outside_m, 0.0)
        distance_m = np.sqrt(dot(outside_m, outside_m)) - self._radius_m[:, None]
        return (distance_m < self._limit_m) & self._is_pair

    def _take_poses_and_sizes(self, world: int) -> None:
        """Copies the poses and sizes of one world's geoms into `_data` and `_model`."""
        self._data.geom_xpos[:] = self._pos_w[world]
        self._data.geom_xmat[:] = self._xmat[world]
        # sizes may differ between worlds
        for field, values in self._engine.model_views().items():
            if field.startswith("geom_"):
                getattr(self._model, field)[:] = values[world]

    def _distance_m(self, link: int, thing: int) -> float:
        """Returns the distance, m, of two geoms up to `limit_m`; negative for an overlap."""
        return float(
            mujoco.mj_geomDistance(
                self._model, self._data, link, thing, self._limit_m, None
            )
        )

    def _pairs_apart_at_home(self) -> np.ndarray:
        """Returns (L, S) bool, whether each pair can collide, but is not close at home."""
        model = self._model
        mujoco.mj_resetDataKeyframe(model, self._data, 0)
        mujoco.mj_kinematics(model, self._data)

        are_apart = np.zeros((len(self._links), len(self._scenery)), bool)
        for i, link in enumerate(self._links.tolist()):
            for k, thing in enumerate(self._scenery.tolist()):
                if _can_collide(model, link, thing):
                    distance_m = self._distance_m(link, thing)
                    are_apart[i, k] = distance_m >= self._limit_m
        return are_apart


def _geoms_of(model: mujoco.MjModel, robot: Robot) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ids of the collision geoms of links (L,), and those of scenery (S,)."""
    # the bodies of links, and the roots of all bodies of the robot
    parts = (*robot.arms, *robot.torsos, *robot.waists, *robot.bases)
    joints = [name for part in parts for name in part.joints.names]
    links = {int(model.joint(name).bodyid[0]) for name in joints}
    roots = {model.body(base.root_body).id for base in robot.bases}

    link_geoms = []
    scenery_geoms = []
    for geom in range(model.ngeom):
        if not (model.geom_contype[geom] or model.geom_conaffinity[geom]):
            continue
        body = int(model.geom_bodyid[geom])
        if body in links:
            link_geoms.append(geom)
        elif model.body_rootid[body] not in roots and _is_fixed(model, body):
            scenery_geoms.append(geom)
    return np.array(link_geoms, np.int64), np.array(scenery_geoms, np.int64)


def _is_fixed(model: mujoco.MjModel, body: int) -> bool:
    """Returns whether a body is scenery or a person, which no joint moves."""
    is_person = model.body_mocapid[model.body_rootid[body]] >= 0
    return bool(model.body_weldid[body] == 0 or is_person)


def _can_collide(model: mujoco.MjModel, first: int, second: int) -> bool:
    """Returns whether the bit masks of two geoms let them collide."""
    types = model.geom_contype
    affinities = model.geom_conaffinity
    return bool(types[first] & affinities[second] or types[second] & affinities[first])
