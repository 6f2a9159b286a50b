"""The processes that `torchrun` starts to train one policy, read from its variables.

This module does not import torch, so that the command line can refuse quickly.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from embodied.errors import EmbodiedError

# torchrun sets all of these; a process that lacks one of them trains by itself
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR")


@dataclass(frozen=True)
class Launch:
    """How this process was started, and with how many others.

    Attributes:
        rank: the number of this process among all, from 0.
        ranks: the number of processes on all machines.
        local_rank: the number of this process on its machine, from 0.
        local_ranks: the number of processes on its machine.
    """

    rank: int = 0
    ranks: int = 1
    local_rank: int = 0
    local_ranks: int = 1

    @property
    def words(self) -> list[str]:
        """The words of a command before the verb."""
        if self.ranks == 1:
            return ["embodied"]
        machines = self.ranks // self.local_ranks
        nodes = ["--nnodes", str(machines)] if machines > 1 else []
        processes = ["--nproc-per-node", str(self.local_ranks)]
        return ["torchrun", *nodes, *processes, "-m", "embodied"]

    def command(self, words: Sequence[str]) -> str:
        """Returns the line to type for a command, whose words begin with the verb."""
        return shlex.join([*self.words, *words])

    def require_single(self, what: str) -> None:
        """Raises EmbodiedError if there are other processes.

        Args:
            what: the work that every one of them would repeat, e.g. "`embodied eval`".
        """
        if self.ranks > 1:
            raise EmbodiedError(
                f"torchrun started {self.ranks} processes, and each would do all the work "
                f"of {what} and write the same output: start it without torchrun, which "
                "is for `embodied train DATASET...` (inside a job of torchrun: `env -u "
                "WORLD_SIZE embodied ...`)"
            )


def this_launch(variables: Mapping[str, str] | None = None) -> Launch:
    """Returns how this process was started.

    Args:
        variables: the variables of the environment; those of this process by default.

    Raises:
        EmbodiedError: a variable of torchrun is no whole number.
    """
    given = os.environ if variables is None else variables
    if not all(name in given for name in VARIABLES):
        return Launch()

    try:
        rank, ranks, local_rank, local_ranks = (
            int(given[name]) for name in VARIABLES[:4]
        )
    except ValueError as error:
        raise EmbodiedError(
            f"the variables {', '.join(VARIABLES[:4])}, which torchrun sets, must be whole "
            f"numbers: {error}"
        ) from None
    return Launch(rank, ranks, local_rank, local_ranks)
