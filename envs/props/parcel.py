"""A closed cardboard box with a coloured label on its top, its underside or one end.

Its size, mass and label differ between worlds.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.envs.props.free_body import WEIGHTLESS_GRAVCOMP, FreeBodies
from embodied.envs.props.shapes import Box, Rgb, add_box, add_visual_box, box_inertia
from embodied.sim.engine import Engine

CARDBOARD = (0.74, 0.57, 0.37)
TAPE = (0.88, 0.78, 0.58)
PAPER = (0.96, 0.96, 0.94)
LABEL = (0.8, 0.1, 0.1)
STICKER_HALF_M = 0.0006  # half the thickness of tape, label and code
# Emission of the label's MuJoCo material. Without it a label on an end of the parcel,
# which gets little light, would be too dark to recognise.
EMISSION = 0.4
SLIDING_FRICTION = 0.6
# The faces that can have the label: +z, +x and -z of the parcel's frame.
FACES = ("top", "end", "bottom")
PARTS = ("body", "tape", "label", "code")  # geoms; only the body collides


@dataclass(frozen=True)
class ParcelSize:
    """Outer size in m and mass in kg.

    The gripper opens to 0.08 m, so it grips a parcel across its width.
    """

    length: float = 0.10  # along the parcel's x
    width: float = 0.06  # along y
    height: float = 0.05  # along z
    mass: float = 0.25

    @property
    def inertia(self) -> np.ndarray:
        """(3,) kg m2, of an evenly filled box."""
        return box_inertia([self.length, self.width, self.height], self.mass)


def add_parcel(spec: mujoco.MjSpec, name: str) -> None:
    """Adds a free parcel of nominal size with the label on its top.

    The frame is at the parcel's centre. The parcel is weightless until a world makes it
    present.
    """
    size = ParcelSize()
    body = spec.worldbody.add_body(
        name=name, explicitinertial=True, mass=size.mass, inertia=size.inertia
    )
    body.gravcomp = WEIGHTLESS_GRAVCOMP
    body.add_freejoint(name=name)

    # PARTS in order: the body collides, the others are only drawn
    pos, half = _boxes(size, FACES[0])
    solid = add_box(body, pos[0], half[0], (*CARDBOARD, 1.0), name=f"{name}_body")
    solid.friction[0] = SLIDING_FRICTION
    solid.condim = 3  # contacts with sliding friction only

    stickers = {"tape": TAPE, "label": LABEL, "code": PAPER}
    for k, (part, rgb) in enumerate(stickers.items(), start=1):
        add_visual_box(body, pos[k], half[k], (*rgb, 1.0), name=f"{name}_{part}")

    spec.add_material(name=f"{name}_label", emission=EMISSION)
    spec.geom(f"{name}_label").material = f"{name}_label"


def _boxes(size: ParcelSize, face: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns centres and half sizes of PARTS in the parcel's frame, (4, 3) m each.

    The tape is a band around the parcel along its length: a box through the parcel that
    stands out by a quarter of a sticker's thickness. The label's middle is in the face of
    the parcel, so the label stands out by half its thickness, above the tape. The code is
    a white strip, whose middle is in the label's outer face.

    Factors of x, y and z below are shares of the parcel's half sizes.

    Args:
        size: the parcel's size.
        face: the face with the label, one of FACES.
    """
    x = size.length / 2
    y = size.width / 2
    z = size.height / 2
    half_thick = STICKER_HALF_M

    body: Box = ((0.0, 0.0, 0.0), (x, y, z))
    tape: Box
    label: Box
    code: Box
    if face != "end":
        up = 1 if face == "top" else -1
        tape = ((0, 0, 0), (x + half_thick / 2, 0.15 * y, z + half_thick / 2))
        label = ((0, 0, up * z), (0.85 * x, 0.85 * y, half_thick))
        code_z = up * (z + half_thick)
        code = ((-0.45 * x, 0, code_z), (0.12 * x, 0.6 * y, half_thick))
    else:
        # the tape leaves the ends free for the label
        tape = ((0, 0, 0), (x - 0.001, 0.15 * y, z + half_thick / 2))
        label = ((x, 0, 0), (half_thick, 0.94 * y, 0.94 * z))
        code = ((x + half_thick, 0, -0.6 * z), (half_thick, 0.5 * y, 0.10 * z))

    boxes = (body, tape, label, code)
    pos = np.array([pos for pos, _ in boxes])
    half = np.array([half for _, half in boxes])
    return pos, half


def label_offset(size: ParcelSize, face: str) -> tuple[float, float, float]:
    """Returns the offset from a parcel's centre to its label, in its frame, m."""
    if face == "end":
        return size.length / 2, 0.0, 0.0
    up = 1 if face == "top" else -1
    return 0.0, 0.0, up * size.height / 2


class Parcels(FreeBodies):
    """The K parcels of a scene in N worlds."""

    def __init__(self, engine: Engine, names: tuple[str, ...]) -> None:
        geoms = [[f"{name}_{part}" for part in PARTS] for name in names]
        varied = ("geom_pos", "geom_size", "body_mass", "body_inertia")
        super().__init__(engine, names, geoms, varied)

    def resize(self, world: int, parcel: int, size: ParcelSize, face: str) -> None:
        """Sets the size of one world's parcel, and the face that has the label.

        The parcel's geoms, mass and inertia change.

        Args:
            world: the index of the world.
            parcel: the index of the parcel.
            size: the new size and mass.
            face: the face with the label, one of FACES.
        """
        model_view = self._engine.model_view
        geoms = self._geoms[parcel]
        body = self._bodies[parcel]
        pos, half = _boxes(size, face)
        model_view("geom_pos")[world, geoms] = pos
        model_view("geom_size")[world, geoms] = half
        model_view("body_mass")[world, body] = size.mass
        model_view("body_inertia")[world, body] = size.inertia

    def paint(self, world: int, parcel: int, label: Rgb, shade: float) -> None:
        """Colours the label, and makes cardboard and tape lighter or darker.

        Args:
            world: the index of the world.
            parcel: the index of the parcel.
            label: the label's colour.
            shade: the factor on the colours of cardboard and tape.
        """
        body_geom, tape_geom, label_geom, _ = self._geoms[parcel]
        rgba = self._engine.model_view("geom_rgba")
        rgba[world, label_geom, :3] = label
        rgba[world, body_geom, :3] = np.clip(np.array(CARDBOARD) * shade, 0, 1)
        rgba[world, tape_geom, :3] = np.clip(np.array(TAPE) * shade, 0, 1)
