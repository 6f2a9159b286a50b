"""Plates with text or a picture, for people and cameras to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFont

from embodied.envs.props.shapes import Rgb, Vector, make_visual
from embodied.sim.engine import Engine

# The resolution of textures, unless their longer side would exceed LONGEST_PIXELS.
PIXELS_PER_M = 1600
LONGEST_PIXELS = 512
# Pictures are drawn this many times larger and then shrunk, so that edges are smooth.
OVERSAMPLING = 3
# Thickness of a plate: from its back to its front.
PLATE_M = 0.001
# Emission of the plates' MuJoCo materials. Without it vertical plates, which get little
# light, would be too dark to read.
EMISSION = 0.2
# The margin around the text, as a share of the plate's height.
MARGIN = 0.12
INK = (0.08, 0.09, 0.10)
PAPER = (0.93, 0.93, 0.91)
# Rotations of plates, wxyz. A plate's x axis points to the right of its text, y up, and
# z out of its front. A plate that faces -x is read by looking along +x.
FACING_MINUS_X = (0.5, 0.5, -0.5, -0.5)
FACING_MINUS_Y = (np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0)
FACING_PLUS_Y = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))
FACING_PLUS_X = (0.5, 0.5, 0.5, 0.5)
# A plate that lies on a table with its upper edge towards +x.
FACING_UP = (np.sqrt(0.5), 0.0, 0.0, -np.sqrt(0.5))


@dataclass(frozen=True)
class SignStyle:
    """Size (width, height) in m and colours of a text plate."""

    size_m: tuple[float, float]
    ink: Rgb = INK  # colour of the letters
    paper: Rgb = PAPER  # colour of the background
    frame: bool = False  # whether a line is drawn along the plate's edge
    # whether letters are stretched to fill the plate, so that they can be read from afar
    stretched: bool = False


def add_sign(
    spec: mujoco.MjSpec,
    body: mujoco.MjsBody,
    name: str,
    text: str,
    pos: Vector,
    style: SignStyle,
    quat: Vector = FACING_MINUS_X,
) -> mujoco.MjsGeom:
    """Adds a plate that shows `text` in the largest size that fits.

    If the text differs between worlds, add all texts with `add_text` and a plate with
    `add_plate`, and choose the text with `Signs`.

    Args:
        spec: the scene.
        body: the body that gets the plate.
        name: name of the plate's geom and of its material.
        text: the text; newlines start new lines.
        pos: the centre (3,) of the plate's back in the body's frame, m.
        style: the plate's size and colours.
        quat: the plate's rotation (4,) wxyz in the body's frame.
    """
    material = add_text(spec, name, text, style)
    return add_plate(
        spec, body, name, material=material, pos=pos, size_m=style.size_m, quat=quat
    )


def add_text(spec: mujoco.MjSpec, name: str, text: str, style: SignStyle) -> str:
    """Adds a material that shows `text`, and returns the material's name.

    The material is for plates of the style's size.
    """
    return add_picture(spec, name, draw_text(text, style))


def add_picture(spec: mujoco.MjSpec, name: str, image: Image.Image) -> str:
    """Adds a material that shows `image`, and returns the material's name.

    The material is for plates with the proportions of the image.
    """
    pixels = np.asarray(image.convert("RGB"))[::-1]  # textures start at the bottom row
    height, width, channels = pixels.shape
    texture = spec.add_texture(
        name=name,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=width,
        height=height,
        nchannel=channels,
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
    """Adds a visual plate that shows `material` on its front.

    Args:
        spec: the scene.
        body: the body that gets the plate.
        name: name of the plate's geom.
        material: name of a material that `add_text` or `add_picture` has added.
        pos: the centre (3,) of the plate's back in the body's frame, m.
        size_m: width and height of the plate.
        quat: the plate's rotation (4,) wxyz in the body's frame.
    """
    geom = body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=_plate_mesh(spec, size_m),
        material=material,
        pos=list(pos),
        quat=list(quat),
        mass=0,
    )
    make_visual(geom)
    return geom


def draw_text(text: str, style: SignStyle) -> Image.Image:
    """Returns a picture of the text, centred, in the largest size that fits."""
    image = blank_picture(style.size_m, style.paper)
    width, height = image.size
    draw = ImageDraw.Draw(image)
    ink = to_bytes(style.ink)

    # the frame's inset and line width are proportional to the plate's height
    if style.frame:
        inset = height // 25 + 1
        edges = (inset, inset, width - 1 - inset, height - 1 - inset)
        draw.rectangle(edges, outline=ink, width=height // 40 + 1)

    # the text fills the plate but for a margin
    margin = round(MARGIN * height)
    text_area = (width - 2 * margin, height - 2 * margin)
    font_size = _largest_font_size(draw, text, text_area)
    draw.multiline_text(
        (width / 2, height / 2),
        text,
        fill=ink,
        font=_font(font_size),
        anchor="mm",
        spacing=font_size / 5,
        align="center",
        stroke_width=_stroke_width(font_size),
    )
    if style.stretched:
        _stretch_text(image, to_bytes(style.paper), text_area)
    return shrunk(image)


def _stretch_text(
    image: Image.Image, paper: tuple[int, ...], text_area: tuple[int, int]
) -> None:
    """Stretches the text of a picture, in place, to fill a centred rectangle.

    Args:
        image: a picture with nothing but the text.
        paper: the picture's background colour.
        text_area: width and height of the rectangle, pixels.
    """
    # cut out the text: the bounding box of all pixels that are not background
    blank = Image.new("RGB", image.size, paper)
    text = image.crop(ImageChops.difference(image, blank).getbbox())
    left = (image.width - text_area[0]) // 2
    top = (image.height - text_area[1]) // 2
    image.paste(blank)
    image.paste(text.resize(text_area, Image.Resampling.BICUBIC), (left, top))


def blank_picture(size_m: tuple[float, float], paper: Rgb) -> Image.Image:
    """Returns an empty oversampled picture to draw on, for a plate of `size_m`."""
    pixels_per_m = oversampled_pixels_per_m(size_m)
    width, height = (round(pixels_per_m * side) for side in size_m)
    return Image.new("RGB", (width, height), to_bytes(paper))


def oversampled_pixels_per_m(size_m: tuple[float, float]) -> float:
    """Returns the resolution at which pictures for a plate of `size_m` are drawn.

    The resolution is limited so that no texture is longer than LONGEST_PIXELS, which
    keeps models small.

    Returns:
        Pixels per m, before the picture is shrunk.
    """
    return min(PIXELS_PER_M, LONGEST_PIXELS / max(size_m)) * OVERSAMPLING


def shrunk(image: Image.Image) -> Image.Image:
    """Returns the texture of an oversampled picture, OVERSAMPLING times smaller."""
    width, height = image.size
    size = (width // OVERSAMPLING, height // OVERSAMPLING)
    return image.resize(size, Image.Resampling.BOX)


def to_bytes(rgb: Rgb) -> tuple[int, int, int]:
    """Returns a colour's red, green and blue from 0 to 255, as Pillow expects them."""
    red, green, blue = (round(255 * part) for part in rgb)
    return red, green, blue


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _stroke_width(font_size: float) -> float:
    """Returns the width of the outline that makes the letters of the thin font bold."""
    return font_size / 28


def _largest_font_size(
    draw: ImageDraw.ImageDraw, text: str, text_area: tuple[int, int]
) -> float:
    """Returns the largest font size, in pixels, at which the text fits into an area.

    Args:
        draw: the drawing tool, which measures the text.
        text: the text.
        text_area: width and height of the area, pixels.
    """
    # measure the text at a trial size, because its width and height are proportional to
    # the font size
    trial = float(text_area[1])
    left, top, right, bottom = draw.multiline_textbbox(
        (0, 0),
        text,
        font=_font(trial),
        anchor="mm",
        spacing=trial / 5,
        stroke_width=_stroke_width(trial),
    )
    return trial * min(text_area[0] / (right - left), text_area[1] / (bottom - top))


def _plate_mesh(spec: mujoco.MjSpec, size_m: tuple[float, float]) -> str:
    """Adds the mesh for plates of a size unless it exists, and returns the mesh's name.

    The mesh is only the front of a plate, because its back is never seen.
    """
    name = f"plate_{size_m[0] * 1000:g}_{size_m[1] * 1000:g}"
    if spec.mesh(name) is not None:
        return name

    # a rectangle of two triangles; the corners are also the texture coordinates
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)
    xy = (corners - 0.5) * np.asarray(size_m)
    vertices = np.concatenate([xy, np.full((4, 1), PLATE_M)], axis=1)
    faces = [0, 1, 2, 0, 2, 3]
    mesh = spec.add_mesh(name=name, uservert=vertices.ravel(), userface=faces)
    mesh.usertexcoord = corners.ravel()
    mesh.userfacetexcoord = faces
    # MuJoCo refuses meshes without volume, unless their inertia is that of a shell
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    return name


class Signs:
    """Plates whose text differs between worlds."""

    def __init__(
        self, engine: Engine, plates: Sequence[str], texts: Sequence[str]
    ) -> None:
        """Finds the plates with these names, and the materials that show the texts."""
        self._engine = engine
        model = engine.model
        # a plate shows a text if its geom has the text's material
        self._plates = [model.geom(name).id for name in plates]
        self._materials = [model.material(name).id for name in texts]
        engine.model_view("geom_matid")  # gives each world its own values

    def write(self, world: int, texts: Sequence[int]) -> None:
        """Shows a text on each plate of one world.

        Args:
            world: the index of the world.
            texts: for each plate, the index of a text in the `texts` of `__init__`.
        """
        materials = [self._materials[text] for text in texts]
        self._engine.model_view("geom_matid")[world, self._plates] = materials
