"""The parser of a set of verbs, of which only the one that was typed is loaded."""

from __future__ import annotations

import argparse
import importlib
import keyword
from collections.abc import Mapping, Sequence
from types import ModuleType

from embodied.errors import unknown


def add_verbs(
    parser: argparse.ArgumentParser,
    package: str,
    summaries: Mapping[str, str],
    words: Sequence[str],
    every: bool = False,
) -> None:
    """Adds the verbs of a package, with the arguments of the verb that was typed.

    The module of a verb offers `HELP` (a few sentences), `EXAMPLE` (command lines),
    `add_arguments(parser)` and `run(args) -> exit status`. A package of verbs offers
    `VERBS` in place of the last two.

    Args:
        parser: gets the verbs.
        package: whose modules they are.
        summaries: verb -> what it does, in half a line.
        words: what was typed, from the verb on.
        every: add the arguments of every verb, whose modules take seconds to load.

    Raises:
        EmbodiedError: the first word is no verb.
    """
    typed = words[0] if words and not words[0].startswith("-") else None
    if typed is not None and typed not in summaries:
        raise unknown("verb", typed, summaries)

    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for name, summary in summaries.items():
        verb_parser = verbs.add_parser(
            name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        # only this module is imported: the others' imports would cost seconds
        if every or name == typed:
            _fill(verb_parser, verb_module(package, name), words[1:], every)


def verb_module(package: str, verb: str) -> ModuleType:
    """Returns the module of a verb; that of `import` is called `import_`."""
    name = verb.replace("-", "_")
    if keyword.iskeyword(name):
        name += "_"
    return importlib.import_module(f"{package}.{name}")


def _fill(
    parser: argparse.ArgumentParser,
    module: ModuleType,
    words: Sequence[str],
    every: bool,
) -> None:
    """Fills the parser of a verb from its module; `words` are those after the verb."""
    parser.description = module.HELP
    parser.epilog = f"example:\n  {module.EXAMPLE}"
    if hasattr(module, "VERBS"):
        add_verbs(parser, module.__name__, module.VERBS, words, every)
        return
    parser.set_defaults(run=module.run)
    module.add_arguments(parser)
