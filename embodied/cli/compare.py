"""`embodied compare`: compares policies pairwise, and ranks them."""

from __future__ import annotations

import argparse
import json

from embodied.benchmark.board import UNDECIDED, make_board
from embodied.benchmark.board_page import write_board_page
from embodied.benchmark.board_text import (
    board_values,
    duel_lines,
    duel_text,
    ranking_lines,
    shortness_texts,
)
from embodied.benchmark.contestants import read_contestants
from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.errors import EmbodiedError

HELP = """Compare policies that `embodied eval` has measured over the same seeds: better, worse or undecided, each with
the difference, its 95% interval, and what it would take to decide. The test is exact (McNemar's; over several cells,
whole seeds are turned), adjusted by Holm's method. Where the data does not separate policies, they share a rank.
Results of other suites, tasks, robots, models or seeds don't compare: the difference is named."""
EXAMPLE = """embodied compare runs/a runs/b
  embodied compare runs/a:expert runs/b:runs/totes runs/c -o runs/compare.html
  embodied compare runs/a runs/b --json"""
MAX_CELLS = 12  # most comparisons of single cells to print


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "results",
        nargs="+",
        metavar="RESULTS",
        help="folders of `embodied eval`, or their results.json; FOLDER:POLICY for one "
        "policy of several",
    )
    arguments.add_output(parser, "write a page, e.g. x.html", required=False)
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Compares the policies; prints the result, and writes a page with -o."""
    contestants = read_contestants(args.results)
    if len(contestants) < 2:
        raise EmbodiedError(
            f"there is one policy alone, {contestants[0].name}: give the results of "
            "another one as well, or see `embodied report`"
        )
    if args.output is not None:
        require_writable(args.output)
    board = make_board(contestants)

    if args.output is not None:
        write_board_page(args.output, board)
    if args.json:
        print(json.dumps(board_values(board), indent=2))
        return 0

    # the ranking, and the comparisons over all cells together
    lines = [*ranking_lines(board), ""]
    lines += [*duel_lines(board), *shortness_texts(board)]
    # the comparisons within single cells; only the decided comparisons are listed
    decided = [duel for duel in board.local_duels if duel.verdict != UNDECIDED]
    if board.local_duels:
        lines.append(
            f"\ncell by cell: {len(decided)} of {len(board.local_duels)} decided"
        )
        cell_lines = [
            f"{duel.scope.description}: {duel_text(board, duel)}"
            for duel in decided
            if duel.scope
        ]
        lines += cell_lines[:MAX_CELLS]
        num_hidden = len(cell_lines) - MAX_CELLS
        if num_hidden > 0:
            lines.append(f"and {num_hidden} more: -o writes them to a page")
    lines += board.notes
    if args.output is not None:
        lines.append(str(args.output))
    print("\n".join(lines))
    return 0
