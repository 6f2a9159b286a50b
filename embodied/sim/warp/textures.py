"""Textures in pictures of the engine `warp`, made to look as they do in OpenGL.

OpenGL filters textures, and clamps the light before it multiplies by them.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import mujoco
import numpy as np
import warp as wp
from PIL import Image

# Longer side of a texture over that of the picture: a textured plate fills a third of a
# view or less.
TEXELS_PER_PIXEL = 1 / 3
LEAST_TEXELS = 8
GLOW = 100.0  # an emission over which light makes no difference


def filtered(model: mujoco.MjModel, image_size: int) -> mujoco.MjModel:
    """Returns a copy of the model for the ray tracer, with textures made small.

    The ray tracer takes one texel per pixel. Each texel of a small texture is an
    average of many, as OpenGL's filter would give.
    """
    small = copy.copy(model)
    longest = max(LEAST_TEXELS, round(image_size * TEXELS_PER_PIXEL))
    # textures of two dimensions that have texels in the model
    is_picture = (model.tex_type == mujoco.mjtTexture.mjTEXTURE_2D) & (
        model.tex_adr >= 0
    )
    for i in np.flatnonzero(is_picture):
        # where its texels lie in the one array of all textures
        begin = int(model.tex_adr[i])
        shape = (model.tex_height[i], model.tex_width[i], model.tex_nchannel[i])
        texels = model.tex_data[begin : begin + int(np.prod(shape))].reshape(shape)

        scale = min(1.0, longest / max(shape[:2]))
        height = max(1, round(shape[0] * scale))
        width = max(1, round(shape[1] * scale))
        channels = [
            _resized(texels[..., channel], width, height) for channel in range(shape[2])
        ]
        resized = np.stack(channels, axis=2)

        # the smaller texture begins where the larger one did; the rest is not read
        small.tex_height[i] = height
        small.tex_width[i] = width
        small.tex_data[begin : begin + resized.size] = resized.ravel()
    return small


def _resized(channel: np.ndarray, width: int, height: int) -> np.ndarray:
    """Returns a channel (H, W) of a texture, averaged to `height` by `width` texels."""
    image = Image.fromarray(channel)
    return np.asarray(image.resize((width, height), Image.Resampling.BOX))


def unbleached(model: mujoco.MjModel, device_model: Any) -> Any:
    """Returns the device's model for the ray tracer, where pictures are not bleached.

    OpenGL clamps the light to 1, then multiplies by the texture. The ray tracer clamps
    the product, which bleaches what lies in bright light. So textured materials glow
    here, and hardly any light is added. Colours of materials that differ between worlds
    stay as they are.
    """
    textured = model.mat_texid[:, mujoco.mjtTextureRole.mjTEXROLE_RGB] >= 0  # (M,)
    if not textured.any() or len(device_model.mat_rgba) > 1:
        return device_model

    # the emission times the colour, which is what glows, is the colour as it was
    rgba = model.mat_rgba.copy()
    rgba[textured, :3] /= GLOW
    emission = np.where(textured, GLOW, model.mat_emission)
    return replace(
        device_model,
        mat_rgba=wp.array(rgba[None], dtype=wp.vec4),
        mat_emission=wp.array(emission[None], dtype=float),
    )
