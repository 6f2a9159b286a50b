"""Contracts on variation tables: held-out values are disjoint, instructions complete."""

from __future__ import annotations

from embodied.contract.case import Case, ContractError, require
from embodied.envs.variation import LEVELS, Choice, Interval, Range

SEEDS = 8  # episodes whose instructions are checked


def held_out_parts_are_disjoint(case: Case) -> None:
    """Compares the held-out range of each variable with its training ranges.

    A variable with equal ranges holds nothing out. Ranges of whole numbers may overlap:
    they are counts, and indices of objects, which training must see completely.
    """
    for variable in case.spec.table:
        if variable.held_out == variable.train or _is_whole(variable.held_out):
            continue
        for level in LEVELS:
            trained = variable.range(level, "train")
            if overlap(variable.held_out, trained):
                raise ContractError(
                    f"{variable.name} is held out at {variable.held_out}, but sampled "
                    f"from {trained} at {level}"
                )


def _is_whole(part: Range) -> bool:
    """Returns whether a range is a choice of whole numbers or of booleans."""
    # in Python a bool is an int
    return isinstance(part, Choice) and all(
        isinstance(value, int) for value in part.values
    )


def overlap(a: Range, b: Range) -> bool:
    """Returns whether two ranges share values; intervals that only touch do not."""
    if isinstance(a, Choice):
        if isinstance(b, Choice):
            return bool(set(a.values) & set(b.values))
        return _lies_inside(b, a)
    if isinstance(b, Choice):
        return _lies_inside(a, b)
    return a.low < b.high and b.low < a.high


def _lies_inside(interval: Interval, choice: Choice) -> bool:
    """Returns whether a value of the choice is strictly between the interval's ends."""
    return any(interval.low < value < interval.high for value in choice.values)


def instructions_are_whole(case: Case, split: str) -> None:
    """Looks for braces in instructions, which are placeholders left unfilled."""
    worlds = case.worlds(SEEDS, level="L4", split=split)
    for world in range(SEEDS):
        sentence = worlds.instructions[world]
        require(
            "{" not in sentence and "}" not in sentence,
            f"the instruction has a placeholder that was not filled: {sentence!r}",
        )
