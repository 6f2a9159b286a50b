"""Sweeps that were never run, with what they break at planted in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from embodied.benchmark.results import Cell, Results
from tests.results_fakes import PROVENANCE, fake_cell

EPISODES = 200


def planted(share: float, episodes: int = EPISODES) -> list[bool]:
    """Returns outcomes of which a share succeeds: the first seeds, so that cells of equal
    seeds fail together.
    """
    return [(seed + 0.5) / episodes < share for seed in range(episodes)]


def sweep_cell(
    share: float, rate_hz: float = 8.0, delay_ms: float = 0.0, **changes: Any
) -> Cell:
    """Returns a cell of a sweep.

    Args:
        share: of its episodes that succeed.
        rate_hz: plans per second.
        delay_ms: of transport.
        changes: fields of the condition; `policy`; `episodes`, their number; and
            `figures`, fields of each episode.
    """
    episodes = changes.pop("episodes", EPISODES)
    figures = changes.pop("figures", {})
    cell = fake_cell(
        planted(share, episodes),
        changes.pop("policy", "expert"),
        planner_hz=rate_hz,
        transport_ms=delay_ms,
        **changes,
    )
    return replace(
        cell, episodes=tuple(replace(one, **figures) for one in cell.episodes)
    )


def linear(delays_ms: Sequence[float], last_ms: float, **changes: Any) -> list[Cell]:
    """Returns cells whose success falls from 100% to 0% at a delay, along a line."""
    return [
        sweep_cell(max(1 - delay_ms / last_ms, 0.0), delay_ms=delay_ms, **changes)
        for delay_ms in delays_ms
    ]


def results_of(*cells: Cell) -> Results:
    return Results(PROVENANCE, cells)
