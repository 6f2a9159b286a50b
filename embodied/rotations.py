"""Unit quaternions (w, x, y, z) over batches.

Every function takes (..., 4) quaternions or (..., 3) vectors, as numpy arrays or torch
tensors.
"""

from __future__ import annotations

import numpy as np

from embodied.arrays import array_namespace, dot
from embodied.core import Array

# The quaternion product a b is a 4x4 matrix times b. Each entry of the matrix is an element
# of a with a sign: _LEFT holds the index of the element, _LEFT_SIGN the sign.
_LEFT = np.array([[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]])
_LEFT_SIGN = [
    [1.0, -1.0, -1.0, -1.0],
    [1.0, 1.0, -1.0, 1.0],
    [1.0, 1.0, 1.0, -1.0],
    [1.0, -1.0, 1.0, 1.0],
]
# For the cross product: the indices of the axes after and before each of x, y and z, in
# the cycle x, y, z.
_NEXT = np.array([1, 2, 0])
_PREVIOUS = np.array([2, 0, 1])
# Added under a square root, so that a norm of zero causes no division by zero. It is too
# small to change any other norm.
_TINY = 1e-30
# A vector with a smaller squared norm is not normalised to length 1.
_LEAST_SQUARED_NORM = 1e-18


def quat_multiply(a: Array, b: Array) -> Array:
    """Returns the Hamilton product a b: first the rotation by b, then by a."""
    xp = array_namespace(a, b)
    signs = xp.asarray(_LEFT_SIGN, dtype=a.dtype, device=a.device)
    left = a[..., _LEFT] * signs  # (..., 4, 4)
    return dot(left, b[..., None, :])


def quat_conjugate(quat: Array) -> Array:
    """Returns the inverse rotation."""
    xp = array_namespace(quat)
    return xp.concat([quat[..., :1], -quat[..., 1:]], axis=-1)


def quat_rotate(quat: Array, vector: Array) -> Array:
    """Returns `vector` (..., 3) rotated by `quat` (..., 4)."""
    xp = array_namespace(quat, vector)
    w = quat[..., :1]
    axis = quat[..., 1:]

    # v + 2 w (axis x v) + 2 axis x (axis x v)
    twice_cross = 2 * cross(axis, vector)
    result = vector + w * twice_cross + cross(axis, twice_cross)
    return xp.astype(result, vector.dtype)


def cross(a: Array, b: Array) -> Array:
    """Returns the cross product of (..., 3) arrays.

    `linalg.cross` is several times slower for small batches.
    """
    return a[..., _NEXT] * b[..., _PREVIOUS] - a[..., _PREVIOUS] * b[..., _NEXT]


def quat_from_rotvec(rotvec: Array) -> Array:
    """Returns the quaternion of a rotation vector (..., 3) in rad."""
    xp = array_namespace(rotvec)
    angle = xp.sqrt(dot(rotvec, rotvec) + _TINY)[..., None]
    return xp.concat([xp.cos(angle / 2), rotvec * (xp.sin(angle / 2) / angle)], axis=-1)


def quat_to_rotvec(quat: Array) -> Array:
    """Returns the shortest rotation vector (..., 3) of a quaternion, in rad."""
    xp = array_namespace(quat)
    # quat and -quat are the same rotation; with w >= 0 its angle is at most pi
    quat = xp.where(quat[..., :1] < 0, -quat, quat)
    axis = quat[..., 1:]
    norm = xp.sqrt(dot(axis, axis) + _TINY)[..., None]  # the sine of half the angle
    return axis * (2 * xp.atan2(norm, quat[..., :1]) / norm)


def quat_from_yaw(yaw: Array) -> Array:
    """Returns the rotation by `yaw` (...) rad about the vertical."""
    xp = array_namespace(yaw)
    zero = xp.zeros_like(yaw)
    return xp.stack([xp.cos(yaw / 2), zero, zero, xp.sin(yaw / 2)], axis=-1)


def angle_modulo(angle: Array, period: float) -> Array:
    """Returns angles (...) modulo a period, in [-period / 2, period / 2), all in rad.

    A square that is turned by pi/2 looks the same, a gripper that is turned by pi grips the
    same: these are periods.
    """
    xp = array_namespace(angle)
    return angle - period * xp.floor(angle / period + 0.5)


def quat_to_rot6d(quat: Array) -> Array:
    """Returns the first two columns (..., 6) of the rotation matrix.

    This representation is continuous, which suits networks (Zhou et al. 2019).
    """
    xp = array_namespace(quat)
    w, x, y, z = (quat[..., i] for i in range(4))
    first = [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)]
    second = [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)]
    return xp.stack(first + second, axis=-1)


def quat_from_rot6d(rot6d: Array) -> Array:
    """Returns the rotation with two columns (..., 6), orthonormalised by Gram-Schmidt.

    A network's columns are neither orthogonal nor of unit length. The quaternion has
    w >= 0.
    """
    xp = array_namespace(rot6d)

    # the three columns of the rotation matrix
    x = _unit(rot6d[..., :3])
    y = rot6d[..., 3:] - xp.sum(x * rot6d[..., 3:], axis=-1, keepdims=True) * x
    y = _unit(y)
    z = cross(x, y)

    # the magnitudes of the quaternion's elements, from the diagonal; rounding errors can
    # make an element's square negative, hence the clip
    m00 = x[..., 0]
    m11 = y[..., 1]
    m22 = z[..., 2]
    qw = xp.sqrt(xp.clip(1 + m00 + m11 + m22, 0.0, None)) / 2
    qx = xp.sqrt(xp.clip(1 + m00 - m11 - m22, 0.0, None)) / 2
    qy = xp.sqrt(xp.clip(1 - m00 + m11 - m22, 0.0, None)) / 2
    qz = xp.sqrt(xp.clip(1 - m00 - m11 + m22, 0.0, None)) / 2

    # 4 times the products of two elements, from the off-diagonal entries
    wx = y[..., 2] - z[..., 1]
    wy = z[..., 0] - x[..., 2]
    wz = x[..., 1] - y[..., 0]
    xy = x[..., 1] + y[..., 0]
    xz = x[..., 2] + z[..., 0]
    yz = y[..., 2] + z[..., 1]

    # Each row is 4 times the quaternion times one of its elements. The row of the largest
    # element is the most accurate.
    rows = [
        xp.stack([4 * qw * qw, wx, wy, wz], axis=-1),
        xp.stack([wx, 4 * qx * qx, xy, xz], axis=-1),
        xp.stack([wy, xy, 4 * qy * qy, yz], axis=-1),
        xp.stack([wz, xz, yz, 4 * qz * qz], axis=-1),
    ]
    largest = xp.argmax(xp.stack([qw, qx, qy, qz], axis=-1), axis=-1)[..., None]
    quat = rows[3]
    for index in (2, 1, 0):
        quat = xp.where(largest == index, rows[index], quat)

    return _unit(xp.where(quat[..., :1] < 0, -quat, quat))


def _unit(vector: Array) -> Array:
    """Returns vectors (..., k) scaled to length 1; a nearly zero vector stays short."""
    xp = array_namespace(vector)
    squared_norm = xp.sum(vector * vector, axis=-1, keepdims=True)
    return vector / xp.sqrt(xp.clip(squared_norm, _LEAST_SQUARED_NORM, None))
