"""Unit quaternions (w, x, y, z) over batches; every function takes (..., 4) or (..., 3)
and any array namespace.
"""

from __future__ import annotations

import numpy as np

from embodied.arrays import array_namespace, dot
from embodied.core import Array

# Row i of the matrix that multiplies by a quaternion from the left: which of its
# elements, and with what sign.
_LEFT = np.array([[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]])
_LEFT_SIGN = [
    [1.0, -1.0, -1.0, -1.0],
    [1.0, 1.0, -1.0, 1.0],
    [1.0, 1.0, 1.0, -1.0],
    [1.0, -1.0, 1.0, 1.0],
]
_NEXT = np.array([1, 2, 0])
_LAST = np.array([2, 0, 1])
_TINY = 1e-30  # under a root it moves nothing, and spares the case of a zero norm


def quat_multiply(a: Array, b: Array) -> Array:
    """Hamilton product: first rotate by b, then by a."""
    xp = array_namespace(a, b)
    # (..., 4, 4)
    left = a[..., _LEFT] * xp.asarray(_LEFT_SIGN, dtype=a.dtype, device=a.device)
    return dot(left, b[..., None, :])


def quat_conjugate(quat: Array) -> Array:
    """The inverse rotation."""
    xp = array_namespace(quat)
    return xp.concat([quat[..., :1], -quat[..., 1:]], axis=-1)


def quat_rotate(quat: Array, vector: Array) -> Array:
    """`vector` (..., 3) rotated by `quat` (..., 4)."""
    xp = array_namespace(quat, vector)
    w = quat[..., :1]
    axis = quat[..., 1:]
    twice = 2 * cross(axis, vector)
    result = vector + w * twice + cross(axis, twice)
    return xp.astype(result, vector.dtype)


def cross(a: Array, b: Array) -> Array:
    """Cross product of (..., 3) arrays; `linalg.cross` is several times slower for
    small batches.
    """
    return a[..., _NEXT] * b[..., _LAST] - a[..., _LAST] * b[..., _NEXT]


def quat_from_rotvec(rotvec: Array) -> Array:
    """Rotation vector (..., 3) in rad to quaternion."""
    xp = array_namespace(rotvec)
    angle = xp.sqrt(dot(rotvec, rotvec) + _TINY)[..., None]
    return xp.concat([xp.cos(angle / 2), rotvec * (xp.sin(angle / 2) / angle)], axis=-1)


def quat_to_rotvec(quat: Array) -> Array:
    """Quaternion to the shortest rotation vector (..., 3) in rad."""
    xp = array_namespace(quat)
    quat = xp.where(quat[..., :1] < 0, -quat, quat)
    axis = quat[..., 1:]
    norm = xp.sqrt(dot(axis, axis) + _TINY)[..., None]
    return axis * (2 * xp.atan2(norm, quat[..., :1]) / norm)


def quat_to_rot6d(quat: Array) -> Array:
    """The rotation matrix's first two columns (..., 6), a continuous form for networks
    (Zhou et al. 2019).
    """
    xp = array_namespace(quat)
    w, x, y, z = (quat[..., i] for i in range(4))
    first = [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)]
    second = [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)]
    return xp.stack(first + second, axis=-1)


def quat_from_yaw(yaw: Array) -> Array:
    """Rotation by `yaw` (...) rad about the vertical."""
    xp = array_namespace(yaw)
    zero = xp.zeros_like(yaw)
    return xp.stack([xp.cos(yaw / 2), zero, zero, xp.sin(yaw / 2)], axis=-1)


def quat_from_rot6d(rot6d: Array) -> Array:
    """The nearest rotation to two columns (..., 6), by Gram-Schmidt, as a quaternion
    with w >= 0.
    """
    xp = array_namespace(rot6d)
    x = _unit(rot6d[..., :3])
    y = rot6d[..., 3:] - xp.sum(x * rot6d[..., 3:], axis=-1, keepdims=True) * x
    y = _unit(y)
    z = cross(x, y)
    m00 = x[..., 0]
    m11 = y[..., 1]
    m22 = z[..., 2]
    # each magnitude from the diagonal (1 + 4 combinations are 4 q_i^2), each sign from
    # the off-diagonal differences
    w = xp.sqrt(xp.clip(1 + m00 + m11 + m22, 0.0, None)) / 2
    i = xp.sqrt(xp.clip(1 + m00 - m11 - m22, 0.0, None)) / 2
    j = xp.sqrt(xp.clip(1 - m00 + m11 - m22, 0.0, None)) / 2
    k = xp.sqrt(xp.clip(1 - m00 - m11 + m22, 0.0, None)) / 2
    by_w = xp.stack(
        [
            4 * w * w,
            y[..., 2] - z[..., 1],
            z[..., 0] - x[..., 2],
            x[..., 1] - y[..., 0],
        ],
        axis=-1,
    )
    by_i = xp.stack(
        [
            (y[..., 2] - z[..., 1]),
            4 * i * i,
            x[..., 1] + y[..., 0],
            x[..., 2] + z[..., 0],
        ],
        axis=-1,
    )
    by_j = xp.stack(
        [
            (z[..., 0] - x[..., 2]),
            x[..., 1] + y[..., 0],
            4 * j * j,
            y[..., 2] + z[..., 1],
        ],
        axis=-1,
    )
    by_k = xp.stack(
        [
            (x[..., 1] - y[..., 0]),
            x[..., 2] + z[..., 0],
            y[..., 2] + z[..., 1],
            4 * k * k,
        ],
        axis=-1,
    )
    largest = xp.argmax(xp.stack([w, i, j, k], axis=-1), axis=-1)[..., None]
    quat = xp.where(
        largest == 0,
        by_w,
        xp.where(largest == 1, by_i, xp.where(largest == 2, by_j, by_k)),
    )
    return _unit(xp.where(quat[..., :1] < 0, -quat, quat))


def _unit(vector: Array) -> Array:
    xp = array_namespace(vector)
    return vector / xp.sqrt(
        xp.clip(xp.sum(vector * vector, axis=-1, keepdims=True), 1e-18, None)
    )
