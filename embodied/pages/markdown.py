"""Markdown for all pages: tables, rates, and the commands that measured figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from embodied.benchmark.statistics import Rate
from embodied.benchmark.wording import interval, percent
from embodied.pages.ledger import Ledger


def join_parts(parts: Sequence[str]) -> str:
    """Returns a page of the non-empty parts, separated by blank lines."""
    present = [part for part in parts if part]
    return "\n\n".join(present) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def rate_cell(rate: Rate) -> str:
    """Returns a rate with its interval."""
    return f"{percent(rate.value, rate.episodes)} ({interval(rate)})"


def faults_cell(faults: Mapping[str, int]) -> str:
    """Returns how often each fault occurred."""
    return ", ".join(f"{count} {name}" for name, count in faults.items()) or "none"


def command_block(ledger: Ledger[Any]) -> str:
    """Returns a code block of the commands that measured the ledger; "" for none."""
    if not ledger.commands:
        return ""
    lines = [f"{command.line}  # {command.day}" for command in ledger.commands]
    return "\n".join(["```bash", *lines, "```"])
