"""The code that `embodied survey` and `embodied parity` share: both fill a book.

A book is a page of tables, and beside it a JSON file with the figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from embodied.benchmark.provenance import host_facts
from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.pages.book import Book
from embodied.pages.ledger import Q, R
from embodied.pages.subject import HOST


def add_output(parser: argparse.ArgumentParser, default: str) -> None:
    """Adds -o, --resume and --overwrite."""
    arguments.add_output(
        parser, "the page, with its JSON file beside it", default=default
    )
    arguments.add_resume_or_overwrite(parser)


def measure_missing(
    book: Book[R],
    questions: Sequence[Q],
    measure: Callable[[Q, str], R],
    args: argparse.Namespace,
) -> None:
    """Measures the missing rows of a book, writes it after each, and prints it.

    Args:
        book: the book that stores the rows.
        questions: the measurements to make.
        measure: a function that returns the row of a question; its second argument is
            the question's position, e.g. "3/12", for display.
        args: the verb's arguments, of which `resume`, `overwrite`, `json` and `words` are
            used.

    Raises:
        EmbodiedError: the book exists, or cannot be written.
        KeyboardInterrupt: its message is a hint on how to continue.
    """
    require_writable(book.page)
    ledger = book.open(questions, args.resume, args.overwrite)
    missing = ledger.missing(questions)
    if missing:
        # rows added from now on are signed with command, machine and date
        ledger = ledger.signed(args.words, HOST, host_facts())

    num_measured = 0
    try:
        for number, question in enumerate(missing, start=1):
            row = measure(question, f"{number}/{len(missing)}")
            ledger = ledger.with_row(row)
            book.write(ledger)
            num_measured = number
    except KeyboardInterrupt:
        kept = f"Kept: {num_measured} of the {len(missing)} figures that were missing"
        hint = arguments.resume_hint(args.words, KeyboardInterrupt(kept))
        raise KeyboardInterrupt(hint) from None

    # written even if nothing was missing: new tasks add empty cells to the page
    book.write(ledger)
    show(book, args.json)


def show(book: Book[R], as_json: bool) -> None:
    """Prints the page of a book, or its JSON file."""
    shown = book.figures if as_json else book.page
    print(shown.read_text(encoding="utf-8"), end="")
