"""What stands on a laid table, to look at: plates, a bowl of fruit, a mug; for people's
pictures.
"""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.robots.shells import Loft, add_shell
from embodied.sim.cameras import DECOR_GROUP

COLOURS = {
    "china": (0.93, 0.93, 0.91),
    "china_rim": (0.36, 0.55, 0.56),
    "fruit_apple": (0.68, 0.14, 0.10),
    "fruit_lime": (0.55, 0.64, 0.18),
    "fruit_orange": (0.88, 0.48, 0.08),
    "mug": (0.86, 0.64, 0.12),
}
Place = tuple[float, float]  # m, on the table


def add_tableware(
    spec: mujoco.MjSpec,
    table: mujoco.MjsBody,
    plates: tuple[Place, ...],
    bowl: Place,
    mug: Place,
) -> None:
    """Lays the table, at places in its frame."""
    for name, rgb in COLOURS.items():
        spec.add_material(name=name, rgba=[*rgb, 1], specular=0.5, shininess=0.6)
    parts: dict[str, list[Loft]] = {name: [] for name in COLOURS}
    for place in plates:
        parts["china"].append(
            _turned(
                place, ((0.0, 0.06), (0.004, 0.075), (0.014, 0.118), (0.017, 0.118))
            )
        )
        parts["china_rim"].append(_turned(place, ((0.017, 0.084), (0.0176, 0.084))))
    parts["china"].append(
        _turned(bowl, ((0.0, 0.05), (0.006, 0.06), (0.04, 0.105), (0.065, 0.122)))
    )
    parts["mug"].append(
        _turned(mug, ((0.0, 0.030), (0.004, 0.036), (0.082, 0.038), (0.088, 0.036)))
    )
    parts["china_rim"].append(_turned(mug, ((0.0882, 0.032), (0.0886, 0.032))))
    for k, name in enumerate(
        (
            "fruit_apple",
            "fruit_lime",
            "fruit_orange",
            "fruit_lime",
            "fruit_apple",
            "fruit_orange",
        )
    ):
        out = 0.062 if k else 0.0
        at = (bowl[0] + out * np.cos(1.257 * k), bowl[1] + out * np.sin(1.257 * k))
        parts[name].append(_ball(at, 0.080 if k else 0.105, 0.036))
    for name, lofts in parts.items():
        add_shell(spec, table, f"tableware_{name}", lofts, name).group = DECOR_GROUP


def _turned(place: Place, outline: tuple[tuple[float, float], ...]) -> Loft:
    """Something round, of (height, radius) from below."""
    return Loft(
        "z", tuple((z, *place, radius) for z, radius in outline), smooth=0, sides=40
    )


def _ball(place: Place, z: float, radius: float) -> Loft:
    angle = np.linspace(-np.pi / 2, np.pi / 2, 11)
    return Loft(
        "z",
        tuple(
            (z + radius * np.sin(a), *place, radius * max(np.cos(a), 0.05))
            for a in angle
        ),
        smooth=0,
    )
