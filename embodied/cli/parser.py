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
            flags = list(self._option_string_actions)
            typed = unknown[0].partition("=")[0]
            near = difflib.get_close_matches(typed, flags, n=1)
            hint = f". Did you mean {near[0]}?" if near else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return found, unknown

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
