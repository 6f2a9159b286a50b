"""The options of `reset`: known ones are used, and probable mistakes are refused.

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
# A name of at least this similarity (from 0 to 1) to a known name is a misspelt one.
MISSPELT = 0.85
# If the option's value is an array, as a mask is, this similarity suffices: `mask` should
# be `reset_mask`.
RELATED = 0.5


def checked_options(
    options: Mapping[str, Any] | None, own: Sequence[str] = ()
) -> Mapping[str, Any]:
    """Returns the given options among `own`; ignores other frameworks' options.

    Args:
        options: the options in the call of `reset`.
        own: names of this environment's options.

    Raises:
        EmbodiedError: they are not a dictionary, or one of them looks like a misspelt
            name in `own`, or is an argument of `gymnasium.make`.
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
        if any(_looks_like_misspelt(str(name), value, known) for known in own):
            raise unknown("reset option", str(name), own)
    return {name: options[name] for name in own if name in options}


def _looks_like_misspelt(name: str, value: Any, known: str) -> bool:
    """Returns whether an option is probably the known one under a misspelt name.

    If its value is an array, as a mask is, a less similar name suffices.
    """
    normalized = name.casefold().replace("-", "_")
    similarity = SequenceMatcher(None, normalized, known).ratio()
    is_array = isinstance(value, list | tuple | np.ndarray)
    return similarity >= (RELATED if is_array else MISSPELT)
