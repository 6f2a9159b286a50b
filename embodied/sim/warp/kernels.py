"""Kernels that process rendered frames on the engine `warp`, in Warp's language."""
# mypy: ignore-errors
# pyright: reportIndexIssue=false, reportArgumentType=false, reportOperatorIssue=false
# pyright: reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportAssignmentType=false

import warp as wp


@wp.kernel(enable_backward=False)
def unpack(packed: wp.array2d[wp.uint32], rgb: wp.array3d[wp.uint8]):
    """Unpacks pixels 0xAARRGGBB (N, P) into bytes (N, P, 3)."""
    world, pixel = wp.tid()
    colour = packed[world, pixel]
    # red, green and blue begin at bits 16, 8 and 0
    for channel in range(3):
        rgb[world, pixel, channel] = wp.uint8(
            (colour >> wp.uint32(16 - 8 * channel)) & wp.uint32(255)
        )


@wp.kernel(enable_backward=False)
def far_where_nothing(depth: wp.array2d[float], far_m: float):
    """Sets the depth of background pixels to the far plane's; the ray tracer gives 0."""
    world, pixel = wp.tid()
    if depth[world, pixel] == 0.0:
        depth[world, pixel] = far_m


@wp.kernel(enable_backward=False)
def show_due(
    now: wp.array[bool],
    source: wp.array3d[wp.uint8],
    row: wp.array[wp.int64],
    sigma: wp.array[float],
    seed: wp.array[wp.int64],
    shown: wp.array3d[wp.uint8],
):
    """Copies new frames of some worlds into the shown frames, and adds noise.

    Args:
        now: (N,) which worlds get a new frame.
        source: (rows, P, 3) the new frames.
        row: (N,) the row of each world's frame in `source`.
        sigma: (N,) standard deviation of the noise, in grey levels.
        seed: (N,) seeds of the noise.
        shown: (N, P, 3) the shown frames; written to.
    """
    world, pixel = wp.tid()
    if not now[world]:
        return
    # each pixel has its own random stream
    random = wp.rand_init(int(seed[world]), pixel)
    for channel in range(3):
        value = source[int(row[world]), pixel, channel]
        if sigma[world] > 0.0:
            noisy = wp.rint(float(value) + sigma[world] * wp.randn(random))
            value = wp.uint8(int(wp.clamp(noisy, 0.0, 255.0)))
        shown[world, pixel, channel] = value
