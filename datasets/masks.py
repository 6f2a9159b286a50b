"""The default masks: success and failure, and training and validation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from embodied.datasets.schema import EpisodeMeta

# The share of the successful episodes that is held out for validation.
VALIDATION_SHARE = 0.1


def default_masks(metas: Sequence[EpisodeMeta]) -> dict[str, list[int]]:
    """Returns the default masks: name -> the numbers of the episodes in the mask.

    The masks `success` and `failure` split all episodes; `train` and `valid` split the
    successes.
    """
    masks: dict[str, list[int]] = {
        "success": [],
        "failure": [],
        "train": [],
        "valid": [],
    }
    for number, meta in enumerate(metas):
        if not meta.success:
            masks["failure"].append(number)
            continue
        masks["success"].append(number)
        split = "valid" if is_for_validation(meta.seed) else "train"
        masks[split].append(number)
    return masks


def is_for_validation(seed: int, split_seed: int = 0) -> bool:
    """Returns whether the episode of a seed is held out for validation.

    A hash of both seeds decides. So an episode stays in its split when other episodes are
    added, whereas another `split_seed` gives another split.
    """
    # eight bytes of a hash are a uniformly distributed integer below 2**64
    digest = hashlib.blake2b(f"{split_seed}/{seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < VALIDATION_SHARE * 2**64
