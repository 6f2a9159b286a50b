"""The options of `reset`: known options are used, and probable mistakes are refused.

Frameworks pass their own options through `reset`, and by Gymnasium's convention unknown
options are ignored. So an unknown option is refused only if it is probably a mistake: a
misspelt name of ours, or an argument of `gymnasium.make`.
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
# An unknown name counts as misspelt if its similarity to a known name, from 0 to 1, is at
# least this.
MISSPELT = 0.85
# For an option whose value is an array, like a mask, this similarity suffices, so that
# `mask` counts as a misspelt `reset_mask`.
RELATED = 0.5


def checked_options(
    options: Mapping[str, Any] | None, own: Sequence[str] = ()
) -> Mapping[str, Any]:
    """Returns those options of a call of `reset` that this environment has.

    Args:
        options: the options in the call. Other frameworks' options are ignored.
        own: the names of this environment's options.

    Raises:
        EmbodiedError: the options are not a dictionary, or one of them looks like a
            misspelt name in `own`, or is an argument of `gymnasium.make`.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise EmbodiedError(
            f"the options of reset must be a dictionary, not {options!r}"
        )

    # look for mistakes among the options that this environment does not have
    arguments = [argument.name for argument in fields(EnvConfig)]
    for name, value in options.items():
        if name in own:
            continue
        if name in arguments:
            raise EmbodiedError(
                f"{name} is an argument of gymnasium.make, not an option of reset: make "
                "another environment with it"
            )
        if any(_looks_like_misspelt(str(name), value, known) for known in own):
            raise unknown("reset option", str(name), own)
    return {name: options[name] for name in own if name in options}


def _looks_like_misspelt(name: str, value: Any, known: str) -> bool:
    """Returns whether an option's name is probably a misspelt known name.

    Args:
        name: the option's name.
        value: the option's value. If this is an array, a less similar name suffices.
        known: the known name.
    """
    normalized = name.casefold().replace("-", "_")
    similarity = SequenceMatcher(None, normalized, known).ratio()
    is_array = isinstance(value, list | tuple | np.ndarray)
    return similarity >= (RELATED if is_array else MISSPELT)
