"""Unit quaternions (w, x, y, z) over batches; every function takes (..., 4) or (..., 3) and any array namespace."""

from __future__ import annotations

from embodied.arrays import array_namespace
from embodied.core import Array


def quat_multiply(a: Array, b: Array) -> Array:
    """Hamilton product: first rotate by b, then by a."""
    xp = array_namespace(a, b)
    aw, ax, ay, az = (a[..., i] for i in range(4))
    bw, bx, by, bz = (b[..., i] for i in range(4))
    w = aw * bw - ax * bx - ay * by - az * bz
    x = aw * bx + ax * bw + ay * bz - az * by
    y = aw * by - ax * bz + ay * bw + az * bx
    z = aw * bz + ax * by - ay * bx + az * bw
    return xp.stack([w, x, y, z], axis=-1)


def quat_conjugate(quat: Array) -> Array:
    """The inverse rotation."""
    xp = array_namespace(quat)
    return xp.concat([quat[..., :1], -quat[..., 1:]], axis=-1)


def quat_rotate(quat: Array, vector: Array) -> Array:
    """`vector` (..., 3) rotated by `quat` (..., 4)."""
    xp = array_namespace(quat, vector)
    w, axis = quat[..., :1], quat[..., 1:]
    twice = 2 * cross(axis, vector)
    result = vector + w * twice + cross(axis, twice)
    return xp.astype(result, vector.dtype)


def cross(a: Array, b: Array) -> Array:
    """Cross product of (..., 3) arrays; written out because `linalg.cross` is ten times slower for small batches."""
    xp = array_namespace(a, b)
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return xp.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def quat_from_rotvec(rotvec: Array) -> Array:
    """Rotation vector (..., 3) in rad to quaternion."""
    xp = array_namespace(rotvec)
    angle = xp.sqrt(xp.sum(rotvec * rotvec, axis=-1, keepdims=True))
    half = angle / 2
    scale = xp.where(angle > 1e-9, xp.sin(half) / xp.where(angle > 1e-9, angle, xp.ones_like(angle)), 0.5)
    return xp.concat([xp.cos(half), rotvec * scale], axis=-1)


def quat_to_rotvec(quat: Array) -> Array:
    """Quaternion to the shortest rotation vector (..., 3) in rad."""
    xp = array_namespace(quat)
    quat = xp.where(quat[..., :1] < 0, -quat, quat)
    norm = xp.sqrt(xp.sum(quat[..., 1:] * quat[..., 1:], axis=-1, keepdims=True))
    angle = 2 * xp.atan2(norm, quat[..., :1])
    scale = xp.where(norm > 1e-9, angle / xp.where(norm > 1e-9, norm, xp.ones_like(norm)), 2.0)
    return quat[..., 1:] * scale


def quat_to_rot6d(quat: Array) -> Array:
    """The rotation matrix's first two columns (..., 6), a continuous form for networks (Zhou et al. 2019)."""
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
    """The nearest rotation to two columns (..., 6), by Gram-Schmidt, as a quaternion with w >= 0."""
    xp = array_namespace(rot6d)
    x = _unit(rot6d[..., :3])
    y = rot6d[..., 3:] - xp.sum(x * rot6d[..., 3:], axis=-1, keepdims=True) * x
    y = _unit(y)
    z = cross(x, y)
    m00, m11, m22 = x[..., 0], y[..., 1], z[..., 2]
    # each magnitude from the diagonal (1 + 4 combinations are 4 q_i^2), each sign from the off-diagonal differences
    w = xp.sqrt(xp.clip(1 + m00 + m11 + m22, 0.0, None)) / 2
    i = xp.sqrt(xp.clip(1 + m00 - m11 - m22, 0.0, None)) / 2
    j = xp.sqrt(xp.clip(1 - m00 + m11 - m22, 0.0, None)) / 2
    k = xp.sqrt(xp.clip(1 - m00 - m11 + m22, 0.0, None)) / 2
    by_w = xp.stack([4 * w * w, y[..., 2] - z[..., 1], z[..., 0] - x[..., 2], x[..., 1] - y[..., 0]], axis=-1)
    by_i = xp.stack([(y[..., 2] - z[..., 1]), 4 * i * i, x[..., 1] + y[..., 0], x[..., 2] + z[..., 0]], axis=-1)
    by_j = xp.stack([(z[..., 0] - x[..., 2]), x[..., 1] + y[..., 0], 4 * j * j, y[..., 2] + z[..., 1]], axis=-1)
    by_k = xp.stack([(x[..., 1] - y[..., 0]), x[..., 2] + z[..., 0], y[..., 2] + z[..., 1], 4 * k * k], axis=-1)
    largest = xp.argmax(xp.stack([w, i, j, k], axis=-1), axis=-1)[..., None]
    quat = xp.where(largest == 0, by_w, xp.where(largest == 1, by_i, xp.where(largest == 2, by_j, by_k)))
    return _unit(xp.where(quat[..., :1] < 0, -quat, quat))


def _unit(vector: Array) -> Array:
    xp = array_namespace(vector)
    return vector / xp.sqrt(xp.clip(xp.sum(vector * vector, axis=-1, keepdims=True), 1e-18, None))
