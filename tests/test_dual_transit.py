"""Messages on their way."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.policies.transit import NEVER, Transit

unhurried = settings(deadline=None)  # machines may be busy

# (world, delay, ticks until the next look)
MESSAGES = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 60), st.integers(0, 30)), max_size=40
)


@unhurried
@given(MESSAGES)
def test_the_newest_that_arrived_is_taken_and_older_ones_are_forgotten(
    messages: list[tuple[int, int, int]],
) -> None:
    """Against plain lists: a message is sent, then its world is looked at."""
    transit = Transit(2, slots=1)
    waiting: list[list[tuple[int, int, int]]] = [[], []]  # (number, arrives, sent)
    next_number = [0, 0]
    now = 0

    for world, delay, pause in messages:
        ids = np.array([world])
        number = next_number[world]
        next_number[world] += 1

        content = {"content": np.array([[2 * number, now]])}
        transit.put(ids, np.array([now + delay]), np.array([number]), content)
        waiting[world].append((number, now + delay, now))
        assert transit.next_arrival[world] == first_arrival(waiting[world])

        now += pause
        arrived = [message for message in waiting[world] if message[1] <= now]
        if not arrived:
            continue
        newest, _, sent = max(arrived)
        taken, rows = transit.take_newest(ids, np.array([now]))
        assert taken[0] == newest
        np.testing.assert_array_equal(rows["content"], [[2 * newest, sent]])
        waiting[world] = [message for message in waiting[world] if message[0] > newest]

    # Clearing one world leaves the other.
    transit.clear(np.array([0]))
    assert transit.next_arrival[0] == NEVER
    assert transit.next_arrival[1] == first_arrival(waiting[1])


def first_arrival(waiting: list[tuple[int, int, int]]) -> int:
    return min((arrives for _, arrives, _ in waiting), default=int(NEVER))


def test_the_first_is_taken_in_order_of_arrival_then_of_number() -> None:
    transit = Transit(1, slots=2)
    ids = np.array([0])
    for number, tick in enumerate([30, 10, 20, 10, 40]):
        transit.put(ids, np.array([tick]), np.array([number]), {})

    order = [int(transit.take_first(ids)[0][0]) for _ in range(5)]

    assert order == [1, 3, 2, 0, 4]
    assert transit.next_arrival[0] == NEVER
