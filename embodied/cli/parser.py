"""An argument parser whose errors are one line, like all errors of the command."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

from embodied.errors import EmbodiedError


class LineParser(argparse.ArgumentParser):
    """Reports errors in one line with a suggestion, instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        """Raises an EmbodiedError that names the help, instead of ending the process."""
        raise EmbodiedError(f"{message} (see `{self.prog} --help`)")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parses the words; raises an error for unknown words.

        argparse also calls this method for the parser of a verb. As the error is raised
        there, the suggestion is one of the verb's flags.
        """
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            hint = self._suggestion(unknown[0].partition("=")[0])
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return parsed, unknown

    def _suggestion(self, typed: str) -> str:
        """Returns a suggestion for an unknown word; "" if nothing is similar."""
        # `--task` for a positional argument TASK
        name = typed.lstrip("-")
        if name in [action.dest for action in self._get_positional_actions()]:
            return f". {name.upper()} has no flag: type its value alone"

        # compared without dashes, which would make all flags similar
        flags = [flag.lstrip("-") for flag in self._option_string_actions]
        matches = difflib.get_close_matches(name, flags, n=1)
        return f". Did you mean --{matches[0]}?" if matches else ""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Raises an error for a value that is no choice, with the most similar choice."""
        names = [str(choice) for choice in action.choices or ()]
        matches = difflib.get_close_matches(str(value), names, n=1)
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            if not matches:
                raise
            message = f"{error.message}. Did you mean {matches[0]!r}?"
            raise argparse.ArgumentError(action, message) from None
