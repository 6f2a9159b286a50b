"""Makes textures on the engine `warp` look as in OpenGL.

OpenGL filters textures, and it clamps the light before it multiplies by the texture.
mujoco_warp's ray tracer does neither.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import mujoco
import numpy as np
import warp as wp
from PIL import Image

# The longer side of a texture divided by that of the picture. A textured plate covers a
# third of a view at most, so one texel covers a pixel or more.
TEXELS_PER_PIXEL = 1 / 3
LEAST_TEXELS = 8  # least length of the longer side of a texture
GLOW = 100.0  # an emission so large that light has no visible effect


def filtered(model: mujoco.MjModel, image_size: int) -> mujoco.MjModel:
    """Returns a copy of the model for the ray tracer, with reduced textures.

    The ray tracer samples one texel per pixel. Each texel of a reduced texture is the
    average of many, similar to the result of OpenGL's filter.
    """
    small = copy.copy(model)
    longest = max(LEAST_TEXELS, round(image_size * TEXELS_PER_PIXEL))
    # two-dimensional textures with texels in the model
    is_flat = model.tex_type == mujoco.mjtTexture.mjTEXTURE_2D
    for i in np.flatnonzero(is_flat & (model.tex_adr >= 0)):
        # its texels in the flat array of all textures
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

        # the reduced texture begins at the same address; the rest is not read
        small.tex_height[i] = height
        small.tex_width[i] = width
        small.tex_data[begin : begin + resized.size] = resized.ravel()
    return small


def _resized(channel: np.ndarray, width: int, height: int) -> np.ndarray:
    """Returns a channel (H, W) of a texture, averaged to `height` by `width` texels."""
    image = Image.fromarray(channel)
    return np.asarray(image.resize((width, height), Image.Resampling.BOX))


def unbleached(model: mujoco.MjModel, device_model: Any) -> Any:
    """Returns the device's model for the ray tracer, with unbleached textures.

    OpenGL clamps the light to 1, then multiplies by the texture. The ray tracer clamps
    the product, which bleaches textures in bright light. Here textured materials emit
    their colour instead, and the light adds almost nothing. If worlds differ in their
    materials' colours, the model is returned unchanged.
    """
    textured = model.mat_texid[:, mujoco.mjtTextureRole.mjTEXROLE_RGB] >= 0  # (M,)
    if not textured.any() or len(device_model.mat_rgba) > 1:
        return device_model

    # the product of emission and colour is the original colour
    rgba = model.mat_rgba.copy()
    rgba[textured, :3] /= GLOW
    emission = np.where(textured, GLOW, model.mat_emission)
    return replace(
        device_model,
        mat_rgba=wp.array(rgba[None], dtype=wp.vec4),
        mat_emission=wp.array(emission[None], dtype=float),
    )
