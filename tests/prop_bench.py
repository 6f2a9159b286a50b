"""What tests of single props share: a floor, and the laws of rigid bodies."""

from __future__ import annotations

import mujoco

from embodied.sim.physics import apply_defaults

FLOOR = """
<mujoco>
  <worldbody>
    <geom name="floor" type="plane" size="2 2 0.1"/>
  </worldbody>
</mujoco>
"""


def floor_spec() -> mujoco.MjSpec:
    """Returns a scene with nothing but a floor, and the physics of every scene."""
    spec = mujoco.MjSpec.from_string(FLOOR)
    spec.compiler.degree = False
    apply_defaults(spec)
    return spec
