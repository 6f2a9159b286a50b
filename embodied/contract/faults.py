"""Contracts on faults: a faulty world is flagged, stays finite, and affects no other."""

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
# (field of MuJoCo's state, value with which the simulation diverges)
DIVERGING = (("qvel", 1e12), ("qpos", np.nan), ("qpos", 1e15))
# Numbers of contacts of a faulty and of a sound world must differ by less than this.
CONTACT_TOLERANCE = 20


def a_bad_action_ends_only_its_world(case: Case, value: float) -> None:
    """Gives one world a non-finite action at one step; the other worlds must not change.

    `value` is the non-finite number.
    """
    # the same four episodes twice: all sound, and with a bad action in world 2
    sound = case.worlds(4)
    faulty = case.worlds(4)
    actions = random_actions(sound, 12)
    bad_actions = actions.copy()
    bad_actions[5, 2, 1] = value  # step, world, element

    # worlds 0, 1 and 3 must not notice
    rows = trace(faulty, bad_actions)
    what = "worlds beside one that broke, and beside none,"
    require_same(trace(sound, actions), rows, [0, 1, 3], what=what)

    # world 2 is faulty and terminated from step 5 on, and gets no reward
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
    """Makes one world diverge after three steps; the other worlds must not change.

    `divergence` is one of DIVERGING.
    """
    field, value = divergence
    with _in_empty_folder() as folder:
        # the same three episodes twice: all sound, and with world 1 diverging
        sound = case.worlds(3)
        faulty = case.worlds(3)
        actions = random_actions(sound, 8)

        expected = trace(sound, actions[:3])
        rows = trace(faulty, actions[:3])
        faulty.engine.view(field)[1, 0] = value  # of world 1
        expected += trace(sound, actions[3:])
        rows += trace(faulty, actions[3:])
        # MuJoCo would write its warnings into the working directory
        require(not list(folder.iterdir()), "MuJoCo left a log in the folder")

    # worlds 0 and 2 must not notice
    what = "worlds beside one that diverged, and beside none,"
    require_same(expected, rows, [0, 2], what=what)

    # world 1 is faulty and terminated from then on
    for result in results_of(rows[3:]):
        fault = FAULTS[int(result.fault[1])]
        require(fault == "diverged", f"the fault of the world is {fault!r}")
        ended = result.terminated.tolist()
        require(ended == [False, True, False], f"terminated is {ended}")
    _require_finite(rows)


def a_world_that_broke_costs_no_more(case: Case) -> None:
    """Breaks one of two worlds; both must then have about as many contacts.

    Contacts take most of the simulation time. A faulty world is put back to its start,
    where nothing overlaps; in a state with overlaps it would slow down all worlds.
    """
    # an action of NaN makes world 1 faulty
    worlds = case.worlds(2, level="L1")
    actions = random_actions(worlds, 1)[0]
    actions[1] = np.nan
    worlds.step(actions)

    # the first step ends with putting world 1 back; a second one simulates it from there
    worlds.step(np.zeros_like(actions))

    contacts = [worlds.engine.world_data(world).ncon for world in range(2)]
    require(
        abs(contacts[1] - contacts[0]) < CONTACT_TOLERANCE,
        f"the world that broke has {contacts[1]} contacts, the other {contacts[0]}",
    )


def _require_finite(rows: Trace) -> None:
    """Raises ContractError if a trace has NaN or an infinity."""
    for row in rows:
        for name, values in row.items():
            if not np.isfinite(values).all():
                raise ContractError(f"{name} is not finite in a world that broke")


@contextmanager
def _in_empty_folder() -> Iterator[Path]:
    """Changes into a new empty folder, and yields its path."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        try:
            yield Path(name)
        finally:
            os.chdir(before)
