"""Renders docs/parity.md, the comparison of both engines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from embodied.envs.registry import warp_tasks
from embodied.pages.book import Book
from embodied.pages.ledger import Ledger
from embodied.pages.markdown import (
    command_block,
    faults_cell,
    join_parts,
    rate_cell,
    table,
)
from embodied.pages.parity import (
    EXPERT,
    MOTION_S,
    PARITY_ROWS,
    MotionDrift,
    ParityRow,
    PolicyOutcomes,
)
from embodied.pages.subject import Pair, shown_pairs, versions_and_host

TITLE = """# One ground, two engines

How well the engine `warp` (a GPU's, single precision) agrees with the engine `cpu`
(MuJoCo's own, double precision). Written by `embodied parity`: do not edit. A cell
that is empty was not measured. `{json}` has the seeds whose outcomes differ."""
MOTION = f"""## Motion without a touch

The same starts (L3) and small actions on both engines for {MOTION_S:.0f} s: how far
apart they are at most."""
OUTCOMES = """## Work with contacts

The same expert over the same starts on both engines: success at the end with its 95%
Wilson interval, how many starts end well on one engine alone, the exact McNemar test
of that, and mean progress at the end. Rounding decides single contacts, so that
single episodes may differ; the rates may not."""
OTHER_POLICIES = """## Other policies

The same figures of other policies, up to a stage of the task where one is named."""
MOTION_HEAD = ("task", "robot", "tool, mm", "joints, mrad or mm", "reward", "device")
OUTCOME_HEAD = (
    "level",
    "starts",
    "cpu",
    "warp",
    "only cpu",
    "only warp",
    "p",
    "progress",
    "faults",
    "device",
)


def parity_book(page: Path) -> Book[ParityRow]:
    """Returns the book of the comparison at `page`, with a row per task and robot."""

    def render(ledger: Ledger[ParityRow], json_name: str) -> str:
        return parity_page(ledger, shown_pairs(warp_tasks(), ledger), json_name)

    return Book(page, "parity", PARITY_ROWS, render)


def parity_page(
    ledger: Ledger[ParityRow], pairs: Sequence[Pair], json_name: str
) -> str:
    """Returns the page.

    Args:
        ledger: the measured comparisons.
        pairs: (task, robot) of each row.
        json_name: the name of the JSON file beside the page.
    """
    motions = {
        row.subject.pair: row for row in ledger.rows if isinstance(row, MotionDrift)
    }
    outcomes = [row for row in ledger.rows if isinstance(row, PolicyOutcomes)]
    experts = {row.subject.pair: row for row in outcomes if row.policy == EXPERT}
    others = [row for row in outcomes if row.policy != EXPERT]

    # pairs that were not measured have empty rows
    motion_lines = [[*pair, *_motion_cells(motions.get(pair))] for pair in pairs]
    expert_lines = [[*pair, *_outcome_cells(experts.get(pair))] for pair in pairs]
    parts = [
        TITLE.format(json=json_name),
        command_block(ledger),
        versions_and_host(ledger, (row.subject for row in ledger.rows)),
        MOTION,
        table(MOTION_HEAD, motion_lines),
        OUTCOMES,
        table(["task", "robot", *OUTCOME_HEAD], expert_lines),
    ]
    if others:
        head = ["task", "robot", "policy", "stage", *OUTCOME_HEAD]
        parts += [OTHER_POLICIES, table(head, [_other_line(row) for row in others])]
    return join_parts(parts)


def _other_line(row: PolicyOutcomes) -> list[str]:
    stage = row.policy.stage or "whole task"
    return [*row.subject.pair, row.policy.name, stage, *_outcome_cells(row)]


def _motion_cells(row: MotionDrift | None) -> list[str]:
    """Returns the cells of MOTION_HEAD without task and robot; empty for None."""
    if row is None:
        return [""] * (len(MOTION_HEAD) - 2)
    # in mm, and in mrad or mm
    return [
        f"{1e3 * row.tcp_m:.4f}",
        f"{1e3 * row.joint:.4f}",
        f"{row.reward:.0e}",
        row.device,
    ]


def _outcome_cells(row: PolicyOutcomes | None) -> list[str]:
    """Returns the cells of OUTCOME_HEAD; empty for None."""
    if row is None:
        return [""] * len(OUTCOME_HEAD)

    # `only_cpu` and `only_warp` are the seeds that succeed on one engine alone
    return [
        row.level,
        str(row.on_cpu.episodes),
        rate_cell(row.on_cpu),
        rate_cell(row.on_warp),
        str(len(row.only_cpu)),
        str(len(row.only_warp)),
        f"{row.comparison().p_value:.2g}",
        f"{row.progress_cpu:.3f}, {row.progress_warp:.3f}",
        faults_cell(row.faults),
        row.device,
    ]
