"""The options of `reset`: those that mean something here, and those of other people.

Frameworks pass options of their own through `reset`, and Gymnasium's convention is to
ignore what one does not know. So an option is refused only where ignoring it would
surely not do what its author meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from embodied.envs.config import EnvConfig
from embodied.errors import EmbodiedError, unknown

RESET_MASK = "reset_mask"
# how alike two names are, from 0 to 1: a slip of the keys; and a name that is a wrong
# one only if its value is of the right kind, such as `mask` for `reset_mask`
MISSPELT = 0.85
RELATED = 0.5


def checked_options(
    options: Mapping[str, Any] | None, own: Sequence[str] = ()
) -> Mapping[str, Any]:
    """Returns the options among `own` that are given; ignores those of other people.

    Args:
        options: what `reset` was called with.
        own: names of the options that mean something to this environment.

    Raises:
        EmbodiedError: they are no dictionary, one of them looks like a misspelt name of
            ours, or is an argument of `gymnasium.make`.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise EmbodiedError(
            f"the options of reset must be a dictionary, not {options!r}"
        )

    arguments = [argument.name for argument in fields(EnvConfig)]
    for name, value in options.items():
        if name in own:
            continue
        if name in arguments:
            raise EmbodiedError(
                f"{name} is an argument of gymnasium.make, not an option of reset: make "
                "another environment with it"
            )
        if any(_means(str(name), value, known) for known in own):
            raise unknown("reset option", str(name), own)
    return {name: options[name] for name in own if name in options}


def _means(name: str, value: Any, known: str) -> bool:
    """Returns whether an option of this name was probably meant to be the known one.

    A name that is less alike will do where the value is an array, such as a mask.
    """
    plain = name.casefold().replace("-", "_")
    likeness = SequenceMatcher(None, plain, known).ratio()
    is_array = isinstance(value, list | tuple | np.ndarray)
    return likeness >= (RELATED if is_array else MISSPELT)
