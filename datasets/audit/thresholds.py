"""The thresholds of the audit, in one place.

They were set by measuring the expert's episodes of all tasks and robots, so that at most
2% of them are flagged; docs/audit.md tells what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """When the audit speaks up. Names end with the unit; a share is of 1."""

    # An episode shorter than this is too short to show anything.
    shortest_s: float = 0.5
    # An episode shorter than this share of the set's median was probably cut off.
    shortest_share: float = 0.25
    # One longer than this multiple of the median probably holds something else.
    longest_times: float = 5.0
    # All joints together move less than this in an episode in which nothing is done.
    least_motion: float = 0.05  # rad and m
    # The longest rest: all joints slower than 0.01 rad/s or m/s, and all else still.
    idle_s: float = 3.0
    # The longest wait: a rest during which something else moves, e.g. on a belt.
    waiting_s: float = 15.0
    # All rests together: this share of the episode, if they come to `idle_s` at least.
    idle_share: float = 0.5
    # Readings that repeat bit for bit for so long, while something else moves on.
    frozen_s: float = 0.3
    # Pictures that do so; a camera that does not see the robot repeats itself, too.
    frozen_camera_s: float = 1.5
    # How far joints or their targets move meanwhile, to say that something moves.
    frozen_motion: float = 0.05  # rad and m
    # A joint jumps whose step differs from both of its neighbours by so many times the
    # largest step of the median episode; in a small set, the 95th percentile of its own.
    jump_times: float = 4.0
    # Slower steps than this are no jump, whatever is usual.
    jump_least_per_s: float = 4.0  # rad/s and m/s
    # Changes of speed over speed, see `metrics.roughness`; noise alone gives 1.7.
    roughness: float = 0.8
    # Joints may be this far beyond the end of their range, where soft limits give way.
    limit_margin: float = 0.02  # rad and m
    # Actions may be this far outside of [-1, 1], by rounding.
    action_margin: float = 1e-6
    # How late joints may follow their targets, or pictures the joints.
    lag_s: float = 0.25
    # Signals less alike than this tell nothing of a lag.
    lag_correlation: float = 0.5
    # How much better signals must fit with the lag than without it.
    lag_gain: float = 0.15
    # Pictures may be so many frame periods older than their frame.
    picture_age_frames: float = 2.0
    # Observations may differ from their stream by this, by rounding.
    same_reading: float = 1e-4
    # An element that is still here, but moves in this share of the episodes, is dead.
    dead_share: float = 0.9
    # Fewer episodes than this are not compared with each other.
    least_episodes: int = 5
    # A picture whose grey levels spread less than this is blank, of 255.
    blank_levels: float = 3.0
    # This share of blank or frozen pictures is worth a look.
    bad_pictures_share: float = 0.05
    # A camera nearer to another one's usual picture than to its own, by this factor.
    swapped_times: float = 2.0
    # A start this many times farther from its nearest than is usual is off-domain.
    isolation_times: float = 6.0
    # Paths that are nowhere farther apart than this share of the set's range are twins.
    twin_distance: float = 0.005
    # A variable covers less than this share of what so many draws should cover.
    coverage_share: float = 0.5
    # Of all starts, this share repeats another one exactly.
    repeated_starts_share: float = 0.2


THRESHOLDS = Thresholds()
