"""The thresholds of the audit's checks.

They were set by measuring the expert's episodes of all tasks and robots, so that at most
2% of these are flagged. The measurements are in docs/audit.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """The limits beyond which a check reports a finding.

    Names end with the unit. Shares are from 0 to 1; "times" are multiples.
    """

    # An episode that is shorter than this cannot show a task.
    shortest_s: float = 0.5
    # An episode shorter than this share of the median duration was probably cut off.
    shortest_share: float = 0.25
    # An episode longer than this multiple of the median probably holds more than the task.
    longest_times: float = 5.0
    # The robot does nothing if the motions of all joints add up to less than this.
    least_motion: float = 0.05  # rad and m
    # The robot may rest this long. It rests if robot and scene are still, see
    # `metrics.is_still`.
    idle_s: float = 3.0
    # The robot may wait this long. It waits if it is still, but something else moves.
    waiting_s: float = 15.0
    # All rests together may take this share of an episode; rests of less than `idle_s` in
    # total are always allowed.
    idle_share: float = 0.5
    # Readings may repeat bit for bit this long while the joints' targets move.
    frozen_s: float = 0.3
    # Images may repeat this long while the joints move. The limit is large, because not
    # every camera sees the robot.
    frozen_camera_s: float = 1.5
    # For the two limits above, joints or targets count as moving if they move this far.
    frozen_motion: float = 0.05  # rad and m
    # A joint jumps if a step differs from both neighbouring steps by this multiple of its
    # usual largest step, see `motion.find_jumps`.
    jump_times: float = 4.0
    # A step that differs by less than this speed is no jump, whatever is usual.
    jump_least_per_s: float = 4.0  # rad/s and m/s
    # A movement with a larger `metrics.roughness` shakes; pure noise has 1.7.
    roughness: float = 0.8
    # Joints may be this far beyond their range, since joint limits are soft.
    limit_margin: float = 0.02  # rad and m
    # Actions may be this far outside [-1, 1], due to rounding.
    action_margin: float = 1e-6
    # Joints may follow their targets, and images the joints, this late.
    lag_s: float = 0.25
    # A lag is certain only if the shifted signals have at least this correlation.
    lag_correlation: float = 0.5
    # And only if the correlation of the unshifted signals is lower by at least this.
    lag_gain: float = 0.15
    # Images may be this many frame periods older than their frame.
    picture_age_frames: float = 2.0
    # The proprioception of a frame may differ from the stream by this, due to rounding.
    same_reading: float = 1e-4
    # A constant element is dead if it changes in this share of the other episodes.
    dead_share: float = 0.9
    # Datasets with fewer episodes than this have no statistics to compare with.
    least_episodes: int = 5
    # An image is blank if the standard deviation of its grey levels (0-255) is smaller.
    blank_levels: float = 3.0
    # A camera may have this share of blank images.
    bad_pictures_share: float = 0.05
    # Cameras are swapped if the difference from their usual images is this many times
    # smaller after the names are swapped.
    swapped_times: float = 2.0
    # A start with a larger `SetFacts.isolation` is off-domain.
    isolation_times: float = 6.0
    # Two paths that never differ by more than this share of the range of all paths are
    # twins.
    twin_distance: float = 0.005
    # A variable must reach at least this share of the expected coverage.
    coverage_share: float = 0.5
    # This share of all starts may repeat another start exactly.
    repeated_starts_share: float = 0.2


THRESHOLDS = Thresholds()
