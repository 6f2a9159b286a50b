"""A world that breaks is flagged, shows finite numbers, and disturbs no other."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from embodied.contract.case import Case, ContractError, random_actions, require
from embodied.contract.traces import Trace, require_same, results_of, trace
from embodied.sim.engine import FAULTS

BAD_VALUES = (np.nan, np.inf, -np.inf)
# Fields of MuJoCo's state, and values of them that physics can't go on from.
DIVERGING = (("qvel", 1e12), ("qpos", np.nan), ("qpos", 1e15))
# A world that was put back has as many contacts as another, to fewer than this.
MORE_CONTACTS = 20


def a_bad_action_ends_only_its_world(case: Case, value: float) -> None:
    """Gives one world an action that is not finite, at the sixth of twelve steps."""
    # the same four episodes twice; in one set, world 2 gets a bad number
    clean = case.worlds(4)
    hurt = case.worlds(4)
    actions = random_actions(clean, 12)
    bad = actions.copy()
    bad[5, 2, 1] = value  # step, world, element

    rows = trace(hurt, bad)
    what = "worlds beside one that broke, and beside none,"
    require_same(trace(clean, actions), rows, [0, 1, 3], what=what)

    # world 2 is faulty from that step on
    results = results_of(rows)
    faults = [FAULTS[int(result.fault[2])] for result in results]
    require(
        faults == [""] * 5 + ["action_not_finite"] * 7,
        f"the fault of the world is {faults}",
    )
    terminated = [bool(result.terminated[2]) for result in results]
    require(terminated == [False] * 5 + [True] * 7, f"terminated is {terminated}")
    for result in results[5:]:
        rewarded = result.reward[2] != 0 or result.success[2]
        require(not rewarded, "a world that broke is rewarded")
    _require_finite(rows)


def a_diverging_world_is_flagged(case: Case, divergence: tuple[str, float]) -> None:
    """Gives a world a state that physics can't go on from, after three steps."""
    field, value = divergence
    with _in_empty_folder() as folder:
        clean = case.worlds(3)
        hurt = case.worlds(3)
        actions = random_actions(clean, 8)

        expected = trace(clean, actions[:3])
        rows = trace(hurt, actions[:3])
        hurt.engine.view(field)[1, 0] = value  # of world 1
        expected += trace(clean, actions[3:])
        rows += trace(hurt, actions[3:])
        # MuJoCo writes its warnings into the working directory
        require(not list(folder.iterdir()), "MuJoCo left a log in the folder")

    what = "worlds beside one that diverged, and beside none,"
    require_same(expected, rows, [0, 2], what=what)
    for result in results_of(rows[3:]):
        fault = FAULTS[int(result.fault[1])]
        require(fault == "diverged", f"the fault of the world is {fault!r}")
        ended = result.terminated.tolist()
        require(ended == [False, True, False], f"terminated is {ended}")
    _require_finite(rows)


def a_world_that_broke_costs_no_more(case: Case, _variant: object = None) -> None:
    """Breaks one of two worlds, and compares their contacts, which cost most.

    A world that broke is put back to its start, where nothing overlaps.
    """
    worlds = case.worlds(2, level="L1")
    hurt = random_actions(worlds, 1)[0]
    hurt[1] = np.nan
    worlds.step(hurt)
    worlds.step(np.zeros_like(hurt))

    contacts = [worlds.engine.world_data(world).ncon for world in range(2)]
    require(
        abs(contacts[1] - contacts[0]) < MORE_CONTACTS,
        f"the world that broke has {contacts[1]} contacts, the other {contacts[0]}",
    )


def _require_finite(rows: Trace) -> None:
    """Raises ContractError where a trace has NaN or an infinity."""
    for row in rows:
        for name, values in row.items():
            if not np.isfinite(values).all():
                raise ContractError(f"{name} is not finite in a world that broke")


@contextmanager
def _in_empty_folder() -> Iterator[Path]:
    """Makes an empty folder the working directory, and yields it."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        try:
            yield Path(name)
        finally:
            os.chdir(before)
