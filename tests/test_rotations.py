"""Quaternions obey the axioms of rotations, agree with SciPy, and work in torch alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from embodied import rotations as rot

UNIT = np.array([1.0, 0.0, 0.0, 0.0])
coordinate = st.floats(-1, 1, allow_subnormal=False)
quats = arrays(np.float64, (3, 4), elements=coordinate).filter(
    lambda q: (np.linalg.norm(q, axis=1) > 0.1).all()
)
quats = quats.map(lambda q: q / np.linalg.norm(q, axis=1, keepdims=True))  # (3, 4)
# (3, 3)
vectors = arrays(np.float64, (3, 3), elements=st.floats(-10, 10, allow_subnormal=False))
# |rotvec| < pi
half_turns = arrays(
    np.float64, (3, 3), elements=st.floats(-1.8, 1.8, allow_subnormal=False)
)


def close(a: Any, b: Any, atol: float = 1e-9) -> None:
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=0, atol=atol)


def scipy_of(quat: np.ndarray) -> Rotation:
    return Rotation.from_quat(quat, scalar_first=True)


@given(quats, quats, quats)
def test_multiplication_is_a_group(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    close(
        rot.quat_multiply(rot.quat_multiply(a, b), c),
        rot.quat_multiply(a, rot.quat_multiply(b, c)),
    )
    close(rot.quat_multiply(a, rot.quat_conjugate(a)), np.tile(UNIT, (3, 1)))
    close(rot.quat_multiply(np.tile(UNIT, (3, 1)), a), a)
    close(np.linalg.norm(rot.quat_multiply(a, b), axis=1), 1)


@given(quats, quats, vectors)
def test_rotating_twice_is_rotating_by_the_product(
    a: np.ndarray, b: np.ndarray, v: np.ndarray
) -> None:
    close(
        rot.quat_rotate(rot.quat_multiply(a, b), v),
        rot.quat_rotate(a, rot.quat_rotate(b, v)),
        1e-8,
    )


@given(quats, vectors, vectors)
def test_rotation_keeps_lengths_angles_and_handedness(
    q: np.ndarray, u: np.ndarray, v: np.ndarray
) -> None:
    turned_u = rot.quat_rotate(q, u)
    turned_v = rot.quat_rotate(q, v)
    close(np.sum(turned_u * turned_v, axis=1), np.sum(u * v, axis=1), 1e-7)
    close(rot.cross(turned_u, turned_v), rot.quat_rotate(q, rot.cross(u, v)), 1e-6)


@given(quats, vectors)
def test_scipy_agrees(q: np.ndarray, v: np.ndarray) -> None:
    close(rot.quat_rotate(q, v), scipy_of(q).apply(v), 1e-8)
    close(
        scipy_of(q).as_matrix()[:, :, :2].transpose(0, 2, 1).reshape(3, 6),
        rot.quat_to_rot6d(q),
    )
    close(rot.cross(v, v[::-1]), np.cross(v, v[::-1]), 1e-9)


@given(half_turns)
def test_rotvec_and_back(rotvec: np.ndarray) -> None:
    quat = rot.quat_from_rotvec(rotvec)
    expected = Rotation.from_rotvec(rotvec).as_quat(scalar_first=True)
    # A quaternion and its negative are the same rotation.
    close(np.abs(np.sum(quat * expected, axis=1)), 1)

    # Back it is the shortest way, whatever the sign.
    close(rot.quat_to_rotvec(quat), rotvec, 1e-7)
    close(rot.quat_to_rotvec(-quat), rotvec, 1e-7)


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e-160, 1e-15, 1e-9, 1e-5])
def test_tiny_rotvecs_are_exact(size: float) -> None:
    rotvec = np.array([[size, -2 * size, 0.5 * size]])
    quat = rot.quat_from_rotvec(rotvec)
    np.testing.assert_allclose(quat[0], [1, *rotvec[0] / 2], rtol=1e-9, atol=0)
    np.testing.assert_allclose(rot.quat_to_rotvec(quat), rotvec, rtol=1e-9, atol=0)


@given(quats, quats, vectors)
def test_a_conjugate_undoes_a_rotation(
    a: np.ndarray, b: np.ndarray, v: np.ndarray
) -> None:
    close(rot.quat_rotate(rot.quat_conjugate(a), rot.quat_rotate(a, v)), v, 1e-8)
    product = rot.quat_conjugate(rot.quat_multiply(a, b))
    close(
        product,
        rot.quat_multiply(rot.quat_conjugate(b), rot.quat_conjugate(a)),
    )


@given(quats, vectors)
def test_both_signs_of_a_quaternion_are_one_rotation(
    q: np.ndarray, v: np.ndarray
) -> None:
    close(rot.quat_rotate(-q, v), rot.quat_rotate(q, v), 1e-9)
    close(rot.quat_to_rot6d(-q), rot.quat_to_rot6d(q), 1e-12)


@given(quats)
def test_rot6d_and_back(q: np.ndarray) -> None:
    back = rot.quat_from_rot6d(rot.quat_to_rot6d(q))
    close(np.abs(np.sum(back * q, axis=1)), 1)
    assert (back[:, 0] >= 0).all()


@given(quats, arrays(np.float64, (3, 6), elements=st.floats(-0.05, 0.05)))
def test_rot6d_of_a_network_is_made_orthogonal(
    q: np.ndarray, error: np.ndarray
) -> None:
    back = rot.quat_from_rot6d(rot.quat_to_rot6d(q) + error)
    close(np.linalg.norm(back, axis=1), 1)
    angle = 2 * np.arccos(np.clip(np.abs(np.sum(back * q, axis=1)), 0, 1))
    assert (angle < 0.3).all()


@given(arrays(np.float64, 3, elements=st.floats(-3, 3)))
def test_yaw_turns_about_the_vertical(yaw: np.ndarray) -> None:
    x_axis = np.tile([1.0, 0.0, 0.0], (3, 1))
    expected = np.stack([np.cos(yaw), np.sin(yaw), 0 * yaw], axis=1)
    close(rot.quat_rotate(rot.quat_from_yaw(yaw), x_axis), expected)


# functions of quaternions, and of how many
FUNCTIONS: list[tuple[Callable[..., Any], int]] = [
    (rot.quat_multiply, 2),
    (rot.quat_conjugate, 1),
    (rot.quat_to_rotvec, 1),
    (rot.quat_to_rot6d, 1),
]


@pytest.mark.parametrize(
    ("function", "count"), FUNCTIONS, ids=lambda x: getattr(x, "__name__", "")
)
@given(a=quats, b=quats)
def test_torch_gives_the_same(
    function: Callable[..., Any], count: int, a: np.ndarray, b: np.ndarray
) -> None:
    given_arrays = (a, b)[:count]
    result = function(*(torch.tensor(x) for x in given_arrays))
    assert isinstance(result, torch.Tensor)
    close(result, function(*given_arrays), 1e-12)


@given(q=quats, v=vectors)
def test_torch_gives_the_same_of_vectors(q: np.ndarray, v: np.ndarray) -> None:
    t = torch.tensor(q)
    tv = torch.tensor(v)
    close(rot.quat_rotate(t, tv), rot.quat_rotate(q, v), 1e-10)
    close(rot.cross(tv, tv.flip(0)), rot.cross(v, v[::-1]), 1e-12)
    close(rot.quat_from_rotvec(tv), rot.quat_from_rotvec(v), 1e-12)
    close(rot.quat_from_yaw(tv[:, 0]), rot.quat_from_yaw(v[:, 0]), 1e-12)
    close(
        np.abs(np.sum(rot.quat_from_rot6d(rot.quat_to_rot6d(t)).numpy() * q, axis=1)), 1
    )


@given(quats, vectors)
def test_a_row_does_not_depend_on_the_others(q: np.ndarray, v: np.ndarray) -> None:
    """Bit for bit, or a world would depend on how many there are."""
    for i in range(3):
        one = slice(i, i + 1)
        assert (
            rot.quat_multiply(q, q[::-1])[one]
            == rot.quat_multiply(q[one], q[::-1][one])
        ).all()
        assert (rot.quat_rotate(q, v)[one] == rot.quat_rotate(q[one], v[one])).all()
        assert (rot.quat_to_rotvec(q)[one] == rot.quat_to_rotvec(q[one])).all()
        assert (rot.quat_from_rotvec(v)[one] == rot.quat_from_rotvec(v[one])).all()
