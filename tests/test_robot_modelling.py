"""What builders of robots share."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from embodied.robots.modelling import add_frame_at_site

CARRIER = """
<mujoco>
  <compiler eulerseq="zyx"/>
  <worldbody>
    <body name="link" pos="0 0 1" euler="20 0 0">
      <geom size="0.1"/>
      <site name="quaternion" pos="0.1 0 0" quat="0.5 0.5 0.5 0.5"/>
      <site name="angles" pos="0 0.1 0" euler="90 20 10"/>
      <site name="axis and angle" axisangle="1 1 0 40"/>
      <site name="axis" zaxis="1 0 1"/>
      <site name="two axes" xyaxes="0 1 0 1 0 0"/>
      <frame pos="0 0.2 0" euler="0 0 30">
        <site name="in a frame" pos="0 0 0.3" euler="10 0 0"/>
      </frame>
    </body>
  </worldbody>
</mujoco>
"""


@pytest.mark.parametrize(
    "name",
    ["quaternion", "angles", "axis and angle", "axis", "two axes", "in a frame"],
)
def test_a_frame_at_a_site_has_its_pose(name: str) -> None:
    spec = mujoco.MjSpec.from_string(CARRIER)
    site = spec.site(name)
    frame = add_frame_at_site(spec, site)
    body = site.parent.add_body(name="held")
    body.add_geom(size=(0.1, 0, 0))
    body.set_frame(frame)

    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    held = data.body("held")
    np.testing.assert_allclose(held.xpos, data.site(name).xpos, atol=1e-12)
    np.testing.assert_allclose(held.xmat, data.site(name).xmat, atol=1e-12)
