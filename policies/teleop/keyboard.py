"""The keyboard as a device: held keys move the hand, other keys are events.

The owner of the keyboard, such as a window or a browser, calls `press` and `release`.
"""

from __future__ import annotations

from embodied.policies.teleop.device import Command

# key -> (index into `move`, `turn` or `drive` of a command, direction)
MOVES = {
    "w": (0, 1),
    "s": (0, -1),
    "a": (1, 1),
    "d": (1, -1),
    "e": (2, 1),
    "q": (2, -1),
}
TURNS = {
    "u": (0, 1),
    "o": (0, -1),
    "i": (1, 1),
    "k": (1, -1),
    "j": (2, 1),
    "l": (2, -1),
}
DRIVES = {
    "up": (0, 1),
    "down": (0, -1),
    "left": (1, 1),
    "right": (1, -1),
    "page up": (2, 1),
    "page down": (2, -1),
    "home": (3, 1),
    "end": (3, -1),
}
EVENT_KEYS = {
    "space": "grip",
    "return": "keep",
    "m": "mark",
    "backspace": "discard",
    "tab": "next_arm",
    "t": "take_over",
    "escape": "quit",
}
SLOW_KEY = "left shift"
SLOW_SHARE = 0.25  # the factor of the speed while SLOW_KEY is held


class Keyboard:
    """The keyboard as a device."""

    name = "keyboard"
    keys = (
        ("w s a d q e", "hand ahead, back, left, right, down, up"),
        ("u o i k j l", "turn the hand: roll, pitch, yaw"),
        ("space", "close or open the gripper"),
        ("arrows, page up and down, home, end", "drive, lift and turn the base"),
        ("left shift", "slowly"),
        ("tab", "the next arm"),
        ("t", "hand back to the policy, or take over"),
        ("return, m", "at the end of a take: keep it, keep it with a mark"),
        ("backspace", "throw the take away and begin it again"),
        ("escape", "end the session"),
    )

    def __init__(self) -> None:
        self._held_keys: set[str] = set()
        self._events: set[str] = set()  # the events since the last read

    def open(self) -> None:
        """Does nothing, since keys are reported by `press` and `release`."""

    def close(self) -> None:
        """Does nothing."""

    def press(self, key: str) -> None:
        """Notes that a key went down; a window may repeat the call while the key is held."""
        if key in EVENT_KEYS and key not in self._held_keys:
            self._events.add(EVENT_KEYS[key])
        self._held_keys.add(key)

    def release(self, key: str) -> None:
        """Notes that a key went up."""
        self._held_keys.discard(key)

    def read(self) -> Command:
        """Returns the command of the held keys, with the events since the last read."""
        events = frozenset(self._events)
        self._events.clear()
        speed = SLOW_SHARE if SLOW_KEY in self._held_keys else 1.0
        move = self._sum(MOVES, 3, speed)
        turn = self._sum(TURNS, 3, speed)
        drive = self._sum(DRIVES, 4, speed)
        return Command(
            move=(move[0], move[1], move[2]),
            turn=(turn[0], turn[1], turn[2]),
            drive=(drive[0], drive[1], drive[2], drive[3]),
            events=events,
        )

    def _sum(
        self, keys: dict[str, tuple[int, int]], size: int, speed: float
    ) -> list[float]:
        """Returns the sum of the directions of all held keys.

        Args:
            keys: a table of keys, such as `MOVES`.
            size: the number of elements of the result.
            speed: the speed of each key.
        """
        total = [0.0] * size
        for key in self._held_keys & keys.keys():
            index, direction = keys[key]
            total[index] += speed * direction
        return total
