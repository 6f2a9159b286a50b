"""What is held out is never trained on, and instructions are whole."""

from __future__ import annotations

from embodied.contract.case import Case, ContractError, require
from embodied.envs.variation import LEVELS, Choice, Interval, Range

SEEDS = 8


def held_out_parts_are_disjoint(case: Case, _: object = None) -> None:
    """Compares the held-out range of each variable with those of training.

    A variable whose held-out range is that of training holds nothing out. Counts, and
    numbers of things that the words refer to, may overlap: training must see them all.
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
    """Returns whether a range is a choice of whole numbers, or of yes and no.

    To Python, a bool is an int, too.
    """
    return isinstance(part, Choice) and all(
        isinstance(value, int) for value in part.values
    )


def overlap(a: Range, b: Range) -> bool:
    """Returns whether both may give the same value; intervals may touch."""
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
    """Looks for braces in instructions: gaps that nothing was put into."""
    worlds = case.worlds(SEEDS, level="L4", split=split)
    for world in range(SEEDS):
        sentence = worlds.instructions[world]
        require(
            "{" not in sentence and "}" not in sentence,
            f"the instruction has a gap that nothing was put into: {sentence!r}",
        )
