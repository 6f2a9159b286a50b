"""`embodied report`: a page of one policy's profile, or a leaderboard of several."""

from __future__ import annotations

import argparse
import json

from embodied.benchmark.board import make_board
from embodied.benchmark.board_page import write_board_page
from embodied.benchmark.board_text import (
    NO_CERTIFICATE,
    board_values,
    pooled_text,
    ranking_lines,
)
from embodied.benchmark.contestants import read_contestants
from embodied.benchmark.profile import profile
from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.cli.text_table import text_table

HELP = """Write a page about results of `embodied eval`: the profile of a policy over the abilities that its suite
measures, with intervals, what is measured beside success, and how episodes failed; of several results, one leaderboard.
The profile is no certificate."""
EXAMPLE = """embodied report runs/handling
  embodied report runs/a runs/b runs/c -o runs/board.html"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "results",
        nargs="+",
        metavar="RESULTS",
        help="folders of `embodied eval`, or their results.json; FOLDER:POLICY for one "
        "policy of several",
    )
    arguments.add_output(parser, "the page", default="board.html")
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Writes the page, and prints the ranking and the profiles."""
    require_writable(args.output)
    board = make_board(read_contestants(args.results))
    write_board_page(args.output, board)
    if args.json:
        print(json.dumps({"page": str(args.output), **board_values(board)}, indent=2))
        return 0

    # the ranking, then each policy's success by ability
    lines = ranking_lines(board)
    rows = [
        (
            contestant.name,
            ability_rate.ability,
            pooled_text(ability_rate.rate),
            _cells(ability_rate.rate.cells),
        )
        for contestant in board.contestants
        for ability_rate in profile(contestant)
    ]
    if rows:
        lines += ["", text_table([("policy", "ability", "success", ""), *rows])]
        lines.append(NO_CERTIFICATE)
    lines += [*board.notes, str(args.output)]
    print("\n".join(lines))
    return 0


def _cells(count: int) -> str:
    return f"{count} cell{'s' if count > 1 else ''}"
