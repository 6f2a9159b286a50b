"""Unit quaternions (w, x, y, z) over batches; every function takes (..., 4) or (..., 3) and any array namespace."""

from __future__ import annotations

from array_api_compat import array_namespace

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
