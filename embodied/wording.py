"""Numbers in messages."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Returns a number with its noun, such as "1 episode", "2 episodes" or "0 tries".

    Args:
        count: how many there are.
        noun: the singular of a noun whose plural ends in s, es or ies.
    """
    if count == 1:
        return f"1 {noun}"
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{count} {noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{count} {noun[:-1]}ies"
    return f"{count} {noun}s"
