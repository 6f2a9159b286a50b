"""Kernels for pictures of the engine `warp`, in Warp's language, not Python's."""
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
    # red, green and blue lie 16, 8 and 0 bits up
    for channel in range(3):
        rgb[world, pixel, channel] = wp.uint8(
            (colour >> wp.uint32(16 - 8 * channel)) & wp.uint32(255)
        )


@wp.kernel(enable_backward=False)
def far_where_nothing(depth: wp.array2d[float], far_m: float):
    """Sets the distance of what the ray tracer did not hit, 0 m, to the far plane's."""
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
    """Copies frames into what some worlds show, with noise.

    Args:
        now: (N,) which worlds show a new frame.
        source: (rows, P, 3) the frames.
        row: (N,) the row of each world's frame in `source`.
        sigma: (N,) standard deviation of the noise, in grey levels.
        seed: (N,) seeds of the noise.
        shown: (N, P, 3) what the worlds show; is written to.
    """
    world, pixel = wp.tid()
    if not now[world]:
        return
    # a stream of random numbers for each pixel
    random = wp.rand_init(int(seed[world]), pixel)
    for channel in range(3):
        value = source[int(row[world]), pixel, channel]
        if sigma[world] > 0.0:
            noisy = wp.rint(float(value) + sigma[world] * wp.randn(random))
            value = wp.uint8(int(wp.clamp(noisy, 0.0, 255.0)))
        shown[world, pixel, channel] = value
