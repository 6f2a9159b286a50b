"""Results of evaluations that never ran, for the tests of what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from embodied.benchmark.contestants import Contestant
from embodied.benchmark.results import Cell, Condition, Provenance, Results
from embodied.benchmark.results_writing import write_results
from embodied.benchmark.scenarios import Scenario
from tests.episode_results import episode_result

PROVENANCE = Provenance(
    task="embodied/ToteTransfer-v0",
    robot="arm",
    created="2026-11-22T00:00:00+00:00",
    command="embodied eval",
    rates={"control_hz": 20.0},
    versions={"mujoco": "3.17.0"},
    host={"processor": "a", "cores": 2},
    models={"ToteTransfer arm": "abc"},
    code={"ToteTransfer arm": "def"},
)


def fake_cell(
    outcomes: Sequence[bool] | str, policy: str = "a", **changes: Any
) -> Cell:
    """Returns a cell with one episode per outcome (`+` for a success).

    Args:
        outcomes: of the episodes.
        policy: its name.
        changes: fields of the condition, and `abilities` of the cell.
    """
    successes = [outcome in (True, "+") for outcome in outcomes]
    abilities = changes.pop("abilities", ())
    usual = {"level": "L2", "task": "ToteTransfer", "robot": "arm"}
    condition = Condition(
        policy=policy, num_episodes=len(successes), **{**usual, **changes}
    )
    episodes = [
        episode_result(seed, success)
        for seed, success in zip(condition.seeds, successes, strict=True)
    ]
    ordered = tuple(replace(e, index=k) for k, e in enumerate(episodes))
    return Cell(condition, policy, 10.0, ordered, abilities=abilities)


def fake_contestant(*cells: Cell, **provenance: Any) -> Contestant:
    """Returns the policy of these cells."""
    return Contestant(
        cells[0].condition.policy,
        replace(PROVENANCE, **provenance),
        {Scenario.of(cell.condition): cell for cell in cells},
    )


def write_fake_results(folder: Path, *cells: Cell, **provenance: Any) -> Path:
    """Writes the results of these cells; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    results = Results(replace(PROVENANCE, **provenance), cells)
    write_results(folder / "results.json", results)
    return folder
