"""Textures in pictures of the engine `warp`, as OpenGL has them: filtered, and with the
light clamped before.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import mujoco
import numpy as np
import warp as wp
from PIL import Image

# of a texture's longer side, over a picture's: plates fill a third of a view or less
TEXELS_A_PIXEL = 1 / 3
LEAST_TEXELS = 8
GLOW = 100.0  # over which light makes no difference


def filtered(model: mujoco.MjModel, image_size: int) -> mujoco.MjModel:
    """A copy for the ray tracer, which takes one texel a pixel: small textures, so that
    this is an average.
    """
    small = copy.copy(model)
    longest = max(LEAST_TEXELS, round(image_size * TEXELS_A_PIXEL))
    for i in np.flatnonzero(
        (model.tex_type == mujoco.mjtTexture.mjTEXTURE_2D) & (model.tex_adr >= 0)
    ):
        begin = int(model.tex_adr[i])
        shape = (model.tex_height[i], model.tex_width[i], model.tex_nchannel[i])
        pixels = model.tex_data[begin : begin + int(np.prod(shape))].reshape(shape)
        less = min(1.0, longest / max(shape[:2]))
        small.tex_height[i], small.tex_width[i] = (
            max(1, round(side * less)) for side in shape[:2]
        )
        size = (int(small.tex_width[i]), int(small.tex_height[i]))
        few = np.stack(
            [_resized(pixels[..., channel], size) for channel in range(shape[2])],
            axis=2,
        )
        small.tex_data[begin : begin + few.size] = few.ravel()
    return small


def _resized(channel: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.BOX))


def unbleached(model: mujoco.MjModel, device_model: Any) -> Any:
    """The device's model for the ray tracer, in which textured materials show just
    their picture.

    OpenGL clamps the light to 1, then multiplies by the texture; the ray tracer clamps
    the product, which bleaches what lies in bright light. So they glow, and hardly any
    light is added. Colours of materials that differ between worlds stay as they are.
    """
    textured = model.mat_texid[:, mujoco.mjtTextureRole.mjTEXROLE_RGB] >= 0  # (M,)
    if not textured.any() or len(device_model.mat_rgba) > 1:
        return device_model
    rgba = model.mat_rgba.copy()
    emission = np.where(textured, GLOW, model.mat_emission)
    rgba[textured, :3] /= GLOW
    return replace(
        device_model,
        mat_rgba=wp.array(rgba[None], dtype=wp.vec4),
        mat_emission=wp.array(emission[None], dtype=float),
    )
