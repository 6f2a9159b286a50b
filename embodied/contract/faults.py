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


def a_bad_action_ends_only_its_world(case: Case) -> None:
    """Gives some worlds non-finite actions at one step; the others must not change.

    World 2 + k gets the k-th of BAD_VALUES.
    """
    # run the same episodes twice: all sound, and with bad actions in worlds 2 to 4
    num_worlds = 3 + len(BAD_VALUES)
    sound = case.worlds(num_worlds)
    faulty = case.worlds(num_worlds)
    actions = random_actions(sound, steps=12)
    bad_actions = actions.copy()
    for k, value in enumerate(BAD_VALUES):
        bad_actions[5, 2 + k, 1] = value  # step 5, world 2 + k, element 1

    # worlds 0, 1 and the last one have sound actions and must not change
    rows = trace(faulty, bad_actions)
    what = "worlds beside some that broke, and beside none,"
    require_same(trace(sound, actions), rows, [0, 1, num_worlds - 1], what=what)

    # the other worlds are faulty and terminated from step 5 of 12 on, and get no reward
    results = results_of(rows)
    for k, value in enumerate(BAD_VALUES):
        world = 2 + k
        faults = [FAULTS[int(result.fault[world])] for result in results]
        require(
            faults == [""] * 5 + ["action_not_finite"] * 7,
            f"the fault of a world with an action of {value} is {faults}",
        )
        terminated = [bool(result.terminated[world]) for result in results]
        require(terminated == [False] * 5 + [True] * 7, f"terminated is {terminated}")
        for result in results[5:]:
            rewarded = result.reward[world] != 0 or result.success[world]
            require(not rewarded, "a world that broke is rewarded")
    _require_finite(rows)


def a_diverging_world_is_flagged(case: Case) -> None:
    """Makes some worlds diverge after three steps; the others must not change.

    World 1 + k diverges by the k-th of DIVERGING.
    """
    num_worlds = 2 + len(DIVERGING)
    with _in_empty_folder() as folder:
        # Run the same episodes twice: all sound, and with worlds 1 to 3 diverging. MuJoCo
        # resets a world that diverges to `qpos0`, where everything overlaps, so the rest
        # of that control step is slow; at 200 Hz it is short.
        sound = case.worlds(num_worlds, control_hz=200)
        faulty = case.worlds(num_worlds, control_hz=200)
        actions = random_actions(sound, steps=8)

        expected = trace(sound, actions[:3])
        rows = trace(faulty, actions[:3])
        for k, (field, value) in enumerate(DIVERGING):
            faulty.engine.view(field)[1 + k, 0] = value  # the first element
        expected += trace(sound, actions[3:])
        rows += trace(faulty, actions[3:])
        # MuJoCo would write its warnings into the working directory
        require(not list(folder.iterdir()), "MuJoCo left a log in the folder")

    # the first world and the last one must not change
    what = "worlds beside some that diverged, and beside none,"
    require_same(expected, rows, [0, num_worlds - 1], what=what)

    # the worlds between them are faulty and terminated after the first three steps
    for result in results_of(rows[3:]):
        faults = [FAULTS[int(fault)] for fault in result.fault]
        require(
            faults == ["", *["diverged"] * len(DIVERGING), ""],
            f"the faults of the worlds are {faults}; they diverge by {DIVERGING}",
        )
        ended = result.terminated.tolist()
        is_faulty = [bool(fault) for fault in faults]
        require(ended == is_faulty, f"terminated is {ended}")
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
