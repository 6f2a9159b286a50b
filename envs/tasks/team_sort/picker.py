"""What the hand that picks does: from the belt to the rest, the label turned onwards."""

from __future__ import annotations

from typing import Any

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.skills.parcel_grip import (
    MOSTLY_COS,
    Grip,
    Hand,
    Parcels,
    quat_of_axes,
)
from embodied.envs.skills.scripted import Row, last_row, with_z
from embodied.envs.skills.two_hands import HandPlan
from embodied.envs.tasks.team_sort.scene import BELT, EYE_Y_W
from embodied.envs.tasks.team_sort.seen import (
    DOWN,
    ONWARDS,
    UP,
    Approach,
    Seen,
    approach,
    closing,
    every,
    grip_from_above,
    is_on,
)

# Where the hand waits for parcels, over the belt; and with one, for a free rest.
WAIT_W = (BELT.x, EYE_Y_W, 0.86)
READY_W = (0.42, -0.48, 0.97)
# How far above the grip the hand waits, and how far it backs off from a parcel.
HOVER_M = 0.09
BACK_M = 0.11
# A parcel is picked from where it is this far before the eye, and slower than this.
BEFORE_EYE_M = 0.02
STANDING_M_S = 0.02
# The grip of a parcel that will be turned is this far off its middle, upwards then.
OFF_MIDDLE_M = 0.012
# The hand's height at which empty fingers clear everything, and how much lower will do.
CLEAR_Z_W = 0.88
SLACK_M = 0.03
# Farther than this from its goal, horizontally, the hand stays at that height.
FAR_M = 0.10
# The height of a parcel's underside over the belt to go sideways; and this near to the
# rest it is not lifted any more.
FREE_M = 0.07
NEAR_REST_M = 0.12
# The height of a parcel's underside over the rest on its way, at most while it is set
# down, and at most when it lies; and a goal this far below the top, to set it down.
OVER_M = 0.035
LOWERING_M = 0.03
LYING_M = 0.004
PRESS_M = 0.003
# The largest offset of a parcel from the rest's middle: to go down, to go on, to let go.
PLACE_M = 0.012
LOWERING_BESIDE_M = 0.03
LYING_BESIDE_M = 0.06
# The least alignment of the hand to set a parcel down.
PLACE_COS = 0.99
# The hand turns level once its x is this near to the way onwards.
FACING_COS = 0.9
# Priorities of parcels; the highest wins, and below LEAST there is nothing to do.
HELD = 5.0
ON_BELT = 1.0
OTHER = -10.0
LEAST = 0.0
HOLDING = ("lift", "carry", "turn", "place")


def plan_picker(seen: Seen) -> HandPlan:
    """Returns the plan of the hand that picks."""
    xp = seen.xp
    hand = seen.picker
    parcel, is_held, is_idle = _choose(seen)
    must_turn = dot(parcel.label_direction(), hand.z) > MOSTLY_COS
    grip = _grip(xp, parcel)
    posture = _posture(seen, parcel, grip, is_held, must_turn)

    rows = _empty_handed(seen, parcel, grip, ~is_held, is_idle)
    rows += _to_the_rest(seen, parcel, posture, is_held, must_turn)
    skill, pos = last_row(xp, rows, otherwise_w=hand.pos_w)
    plan = HandPlan(skill, pos, quat_of_axes(posture.x, posture.z), hand.reading)
    return closing(xp, plan, is_on(hand, grip), HOLDING)


def _choose(seen: Seen) -> tuple[Parcels, Array, Array]:
    """Returns the parcel to work on, whether it is held, and whether there is none.

    It is the one in the hand, or else the one that is farthest along the belt.
    """
    xp = seen.xp
    parcels = seen.parcels
    y = parcels.pos_w[..., 1]
    is_low = parcels.bottom_z() < BELT.top_z + FREE_M
    is_to_pick = parcels.is_wanted & ~parcels.is_scanned & ~seen.is_sorters & is_low
    is_to_pick = is_to_pick & (y < BELT.y_end)
    priority = xp.where(is_to_pick, ON_BELT + 0.3 * xp.clip(y, -3.0, 1.0), OTHER)
    priority = xp.where(seen.is_pickers, HELD, priority)

    which = xp.argmax(priority, axis=1)
    rows = xp.arange(which.shape[0])
    is_idle = priority[rows, which] < LEAST
    return parcels.one(which), seen.is_pickers[rows, which], is_idle


def _grip(xp: Any, parcel: Parcels) -> Grip:
    """Returns where the hand takes the parcel on the belt.

    Its x is towards a label on an end; of a label underneath, towards the way onwards,
    and the grip is off the middle that way.
    """
    way = parcel.label_direction()
    is_under = (way[:, 2] < -MOSTLY_COS)[:, None]
    onwards = every(xp, ONWARDS, way)
    grip = grip_from_above(parcel, xp.where(is_under, onwards, way))
    off = xp.where(is_under, OFF_MIDDLE_M * grip.x, 0.0)
    return Grip(grip.pos_w + off, grip.x, grip.z)


def _posture(
    seen: Seen, parcel: Parcels, grip: Grip, is_held: Array, must_turn: Array
) -> Grip:
    """Returns the grip with the hand's axes for the present work."""
    xp = seen.xp
    hand = seen.picker
    onwards = every(xp, ONWARDS, hand.x)
    down = every(xp, DOWN, hand.x)
    up = every(xp, UP, hand.x)

    # with a parcel: as it is until it is lifted; then with the label onwards, the hand
    # pointing down, or level where the label was underneath
    is_facing = (dot(hand.x, onwards) > FACING_COS) | (hand.z[:, 2] > -FACING_COS)
    is_level = (must_turn & is_facing)[:, None]
    held_x = xp.where(is_level, up, onwards)
    held_z = xp.where(is_level, onwards, down)
    keeps = must_lift(seen, parcel)[:, None]
    held_x = xp.where(keeps, hand.x, held_x)
    held_z = xp.where(keeps, hand.z, held_z)

    # without: as it is while it backs off, then as the grip is
    backs = must_back_off(seen)[:, None]
    free_x = xp.where(backs, hand.x, grip.x)
    free_z = xp.where(backs, hand.z, grip.z)
    rows = is_held[:, None]
    return Grip(
        grip.pos_w, xp.where(rows, held_x, free_x), xp.where(rows, held_z, free_z)
    )


def must_lift(seen: Seen, parcel: Parcels) -> Array:
    """Returns (n,) bool, whether a held parcel must be lifted before it moves."""
    to_rest = (parcel.pos_w - seen.rest_w)[:, :2]
    is_away = dot(to_rest, to_rest) > NEAR_REST_M**2
    return is_away & (parcel.bottom_z() < BELT.top_z + FREE_M)


def must_back_off(seen: Seen) -> Array:
    """Returns (n,) bool, whether an empty hand is still at a parcel on the rest."""
    away = seen.picker.pos_w - seen.rest_w
    return dot(away, away) < BACK_M**2


def _empty_handed(
    seen: Seen, parcel: Parcels, grip: Grip, is_empty: Array, is_idle: Array
) -> list[Row]:
    """Returns the rows of an empty hand: it goes to the next parcel and takes it."""
    xp = seen.xp
    hand = seen.picker
    speed = dot(parcel.vel_w, parcel.vel_w)
    is_ready = (parcel.pos_w[:, 1] > EYE_Y_W - BEFORE_EYE_M) & ~is_idle
    is_ready = is_ready & (speed < STANDING_M_S**2)

    hover = grip.pos_w - HOVER_M * grip.z
    hover = xp.where(is_ready[:, None], hover, every(xp, WAIT_W, hover))
    way = Approach(hover, hover, CLEAR_Z_W, SLACK_M, FAR_M)
    back = hand.pos_w - BACK_M * hand.z
    return [  # the last that applies wins
        *approach(seen, hand, grip, way, is_empty, is_ready),
        Row("retreat", when=is_empty & must_back_off(seen), goal_w=back),
    ]


def _to_the_rest(
    seen: Seen, parcel: Parcels, posture: Grip, is_held: Array, must_turn: Array
) -> list[Row]:
    """Returns the rows of a hand with a parcel: it is lifted, turned and set down.

    The hand waits where the other one is still at the rest, or a parcel on it.
    """
    xp = seen.xp
    hand: Hand = seen.picker
    rest_w = seen.rest_w

    # where the hand is with the parcel over the rest, which stands on an end if turned
    bottom = parcel.bottom_z()
    in_hand = hand.pos_w - parcel.pos_w
    turned_below = parcel.size[:, 0] / 2 + OFF_MIDDLE_M
    below = xp.where(must_turn, turned_below, hand.pos_w[:, 2] - bottom)
    carry_z = rest_w[:, 2] + OVER_M + below
    over = with_z(xp, rest_w + in_hand, carry_z)
    may_come = seen.is_rest_free() & seen.is_clear(seen.sorter)
    goal = xp.where(may_come[:, None], over, every(xp, READY_W, over))

    # how near to the rest the parcel is: horizontally, and its underside above it
    to_rest = (parcel.pos_w - rest_w)[:, :2]
    distance = xp.sqrt(dot(to_rest, to_rest))
    height = bottom - rest_w[:, 2]
    is_over = (distance < PLACE_M) & (posture.alignment(hand) > PLACE_COS)
    is_being_lowered = (distance < LOWERING_BESIDE_M) & (height < LOWERING_M)
    lies = (distance < LYING_BESIDE_M) & (xp.abs(height) < LYING_M)
    down_z = hand.pos_w[:, 2] - height - PRESS_M
    up = with_z(xp, hand.pos_w, hand.pos_w[:, 2] + FREE_M)
    return [  # the last that applies wins
        Row("carry", when=is_held, goal_w=goal),
        Row("lift", when=is_held & must_lift(seen, parcel), goal_w=up),
        Row(
            "place",
            when=is_held & (is_over | is_being_lowered),
            goal_w=with_z(xp, over, down_z),
        ),
        Row("release", when=is_held & lies, goal_w=hand.pos_w),
    ]
