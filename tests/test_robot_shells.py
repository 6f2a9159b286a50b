"""Lofted shells are closed, and their faces look outwards."""

from __future__ import annotations

import numpy as np
import pytest

from embodied.robots.shells import Loft

LENGTH_M = 0.2


@pytest.mark.parametrize("axis", ["x", "y", "z"])
@pytest.mark.parametrize("sign", [1, -1])
def test_lofts_are_closed_and_face_outwards(axis: str, sign: int) -> None:
    sections = ((0, 0, 0, 0.05), (sign * LENGTH_M, 0.03, -0.02, 0.04, 0.06))
    vertices, faces = Loft(axis, sections, 3.0).mesh()

    # Each edge has a face on both sides, which run along it in opposite directions.
    _, same_point = np.unique(vertices.round(9), axis=0, return_inverse=True)
    edges = []
    for face in same_point.reshape(-1)[faces]:
        for i in range(3):
            edges.append((face[i], face[(i + 1) % 3]))
    assert len(set(edges)) == len(edges)
    assert {(end, start) for start, end in edges} == set(edges)

    # The volume is positive when the faces look outwards.
    first, second, third = np.moveaxis(vertices[faces], 1, 0)
    volume = np.sum(first * np.cross(second, third)) / 6
    assert volume > 0.8 * np.pi * 0.04 * 0.04 * LENGTH_M
