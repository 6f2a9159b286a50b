"""A parser whose errors are one line, like all others of the command."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

from embodied.errors import EmbodiedError


class LineParser(argparse.ArgumentParser):
    """Refuses words in one line, with a suggestion, in place of a page of usage."""

    def error(self, message: str) -> NoReturn:
        """Raises an error that says where help is, instead of ending the process."""
        raise EmbodiedError(f"{message} (see `{self.prog} --help`)")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parses the words, and refuses what it does not know.

        It is called for the parser of a verb as well, so that a suggestion comes from
        the verb's own flags.
        """
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            hint = self._hint(unknown[0].partition("=")[0])
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return found, unknown

    def _hint(self, typed: str) -> str:
        """Returns what may have been meant by a word that is not known, or ""."""
        # a value that goes without a flag, such as TASK
        name = typed.lstrip("-")
        if name in [one.dest for one in self._get_positional_actions()]:
            return f". {name.upper()} has no flag: type its value alone"

        # Dashes are left out: they make all flags alike.
        flags = [flag.lstrip("-") for flag in self._option_string_actions]
        near = difflib.get_close_matches(name, flags, n=1)
        return f". Did you mean --{near[0]}?" if near else ""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuses a value that is not among the choices, and suggests the nearest."""
        names = [str(choice) for choice in action.choices or ()]
        near = difflib.get_close_matches(str(value), names, n=1)
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            if not near:
                raise
            message = f"{error.message}. Did you mean {near[0]!r}?"
            raise argparse.ArgumentError(action, message) from None
