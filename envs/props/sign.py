"""Plates with text or a picture on them, which people and cameras can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from embodied.envs.props.shapes import VISUAL_GROUP, Vector
from embodied.sim.engine import Engine

Rgb = tuple[float, float, float]
PIXELS_PER_M = 1600
LONGEST_PIXELS = 512
# text is drawn this much larger and shrunk, so that its edges are smooth
OVERSAMPLED = 3
PLATE_M = 0.001  # how far a plate's front stands before what it hangs on
# share of its colour that a plate shows unlit: upright ones get little of a hall's
# light
EMISSION = 0.2
MARGIN = 0.12  # of the plate's height, free around the text
INK = (0.08, 0.09, 0.10)
PAPER = (0.93, 0.93, 0.91)
# A plate's own x is to its right, y up, and z is where it faces. wxyz quaternions that
# hang it up:
FACING_MINUS_X = (0.5, 0.5, -0.5, -0.5)  # on a wall, for who looks along +x
FACING_MINUS_Y = (np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0)  # for who looks along +y
FACING_PLUS_Y = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))  # for who looks along -y
FACING_PLUS_X = (0.5, 0.5, 0.5, 0.5)  # for who looks along -x
FACING_UP = (np.sqrt(0.5), 0.0, 0.0, -np.sqrt(0.5))  # lying, for who looks along +x


@dataclass(frozen=True)
class SignStyle:
    """Size (width, height) in m and colours of a text plate; `frame` is a line along
    its edge.
    """

    size_m: tuple[float, float]
    ink: Rgb = INK
    paper: Rgb = PAPER
    frame: bool = False


def add_sign(
    spec: mujoco.MjSpec,
    body: mujoco.MjsBody,
    name: str,
    text: str,
    pos: Vector,
    style: SignStyle,
    quat: Vector = FACING_MINUS_X,
) -> mujoco.MjsGeom:
    """Adds a plate that says `text` (lines are split at newlines), as large as fits;
    `pos` is the middle of its back.

    For a sign whose text differs between worlds add the texts with `add_text` and write
    with `Signs`.
    """
    return add_plate(
        spec, body, name, add_text(spec, name, text, style), pos, style.size_m, quat
    )


def add_text(spec: mujoco.MjSpec, name: str, text: str, style: SignStyle) -> str:
    """Adds a material that shows `text`, for plates of the style's size; returns its
    name.
    """
    return add_picture(spec, name, draw_text(text, style))


def add_picture(spec: mujoco.MjSpec, name: str, image: Image.Image) -> str:
    """Adds a material that shows `image`, for plates of its proportions; returns its
    name.
    """
    pixels = np.asarray(image.convert("RGB"))[::-1]  # the rows of a texture go up
    height, width, channels = pixels.shape
    kind = mujoco.mjtTexture.mjTEXTURE_2D
    texture = spec.add_texture(
        name=name, type=kind, width=width, height=height, nchannel=channels
    )
    texture.data = pixels.tobytes()
    material = spec.add_material(
        name=name, emission=EMISSION, specular=0.1, shininess=0.1
    )
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    return name


def add_plate(
    spec: mujoco.MjSpec,
    body: mujoco.MjsBody,
    name: str,
    material: str,
    pos: Vector,
    size_m: tuple[float, float],
    quat: Vector = FACING_MINUS_X,
) -> mujoco.MjsGeom:
    """Adds a plate that shows `material` on its front; nothing touches it."""
    mesh = _plate_mesh(spec, size_m)
    geom = body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=mesh,
        material=material,
        mass=0,
    )
    geom.pos = list(pos)
    geom.quat = list(quat)
    geom.contype = 0
    geom.conaffinity = 0
    geom.group = VISUAL_GROUP
    return geom


def draw_text(text: str, style: SignStyle) -> Image.Image:
    """The text in one size, centred, every line whole."""
    scale = pixels_per_m(style.size_m) * OVERSAMPLED
    width, height = (round(scale * side) for side in style.size_m)
    image = Image.new("RGB", (width, height), bytes_of(style.paper))
    draw = ImageDraw.Draw(image)
    margin = round(MARGIN * height)
    if style.frame:
        inset = height // 25 + 1
        line = height // 40 + 1
        draw.rectangle(
            (inset, inset, width - 1 - inset, height - 1 - inset),
            outline=bytes_of(style.ink),
            width=line,
        )
    room = (width - 2 * margin, height - 2 * margin)
    size = _largest_font(draw, text, room)
    middle = (width / 2, height / 2)
    draw.multiline_text(
        middle,
        text,
        bytes_of(style.ink),
        _font(size),
        "mm",
        size / 5,
        "center",
        stroke_width=_stroke(size),
    )
    return image.resize(
        (width // OVERSAMPLED, height // OVERSAMPLED), Image.Resampling.BOX
    )


def pixels_per_m(size_m: tuple[float, float]) -> float:
    """Of a plate's texture: fine enough for people's pictures, small enough for a
    model.
    """
    return min(PIXELS_PER_M, LONGEST_PIXELS / max(size_m))


def bytes_of(rgb: Rgb) -> tuple[int, int, int]:
    """A colour as Pillow takes it."""
    red, green, blue = (round(255 * part) for part in rgb)
    return red, green, blue


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _stroke(size: float) -> float:
    return size / 28  # the font is a regular one: signs are bolder


def _largest_font(draw: ImageDraw.ImageDraw, text: str, room: tuple[int, int]) -> float:
    trial = float(room[1])
    box = draw.multiline_textbbox(
        (0, 0), text, _font(trial), "mm", trial / 5, stroke_width=_stroke(trial)
    )
    return trial * min(room[0] / (box[2] - box[0]), room[1] / (box[3] - box[1]))


def _plate_mesh(spec: mujoco.MjSpec, size_m: tuple[float, float]) -> str:
    """The name of a mesh for plates of a size: their front alone, for they hang on
    things.
    """
    name = f"plate_{size_m[0] * 1000:g}_{size_m[1] * 1000:g}"
    if spec.mesh(name) is None:
        corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)
        front = np.concatenate(
            [(corners - 0.5) * np.asarray(size_m), np.full((4, 1), PLATE_M)], axis=1
        )
        faces = [0, 1, 2, 0, 2, 3]
        mesh = spec.add_mesh(name=name, uservert=front.ravel(), userface=faces)
        mesh.usertexcoord = corners.ravel()
        mesh.userfacetexcoord = faces
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    return name


class Signs:
    """Plates whose text differs between worlds."""

    def __init__(
        self, engine: Engine, plates: Sequence[str], texts: Sequence[str]
    ) -> None:
        self._engine = engine
        model = engine.model
        self._plates = [model.geom(name).id for name in plates]
        self._materials = [model.material(name).id for name in texts]
        engine.vary("geom_matid")

    def write(self, world: int, texts: Sequence[int]) -> None:
        """Shows on each plate of one world the text of an index."""
        self._engine.vary("geom_matid")[world, self._plates] = [
            self._materials[text] for text in texts
        ]
