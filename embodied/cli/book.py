"""What `embodied survey` and `embodied parity` share: each keeps a book of figures."""

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
    arguments.add_existing(parser)


def measure_missing(
    book: Book[R],
    questions: Sequence[Q],
    measure: Callable[[Q, str], R],
    args: argparse.Namespace,
) -> None:
    """Measures what the book lacks, writes it after each row, and prints it at the end.

    Args:
        book: where the rows are kept.
        questions: the measurements asked for.
        measure: returns the row for a question and for its number, e.g. "3/12".
        args: the verb's arguments; `resume`, `overwrite`, `json` and `words` are used.

    Raises:
        EmbodiedError: the book exists, or cannot be written.
        KeyboardInterrupt: with a hint on how to go on.
    """
    require_writable(book.page)
    ledger = book.open(questions, args.resume, args.overwrite)
    missing = ledger.missing(questions)
    if missing:
        # Rows that are added say which command measured them, where and when.
        ledger = ledger.signed(args.words, HOST, host_facts())

    num_measured = 0
    try:
        for k, question in enumerate(missing, start=1):
            row = measure(question, f"{k}/{len(missing)}")
            ledger = ledger.with_row(row)
            book.write(ledger)
            num_measured = k
    except KeyboardInterrupt:
        kept = f"Kept: {num_measured} of the {len(missing)} figures that were missing"
        hint = arguments.resume_hint(args.words, KeyboardInterrupt(kept))
        raise KeyboardInterrupt(hint) from None

    # also where nothing was missing: the page may know more tasks by now
    book.write(ledger)
    shown = book.figures if args.json else book.page
    print(shown.read_text(encoding="utf-8"), end="")
