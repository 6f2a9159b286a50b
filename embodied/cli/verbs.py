"""Adds a set of verbs to a parser; only the module of the typed verb is imported."""

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
    `add_arguments(parser)` and `run(args) -> exit status`. A package of verbs, such as
    `embodied data`, offers `VERBS` (verb -> summary) instead of these two functions.

    Args:
        parser: the parser to which the verbs are added.
        package: the name of the package that has a module for each verb.
        summaries: verb -> help text of half a line.
        words: the typed words, from the verb on.
        every: whether to add the arguments of every verb, which imports all modules.

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
        # importing the modules of all verbs would take seconds
        if every or name == typed:
            _add_help_and_arguments(
                verb_parser, verb_module(package, name), words[1:], every=every
            )


def verb_module(package: str, verb: str) -> ModuleType:
    """Returns the module of a verb; `import` is a keyword, so its module is `import_`."""
    name = verb.replace("-", "_")
    if keyword.iskeyword(name):
        name += "_"
    return importlib.import_module(f"{package}.{name}")


def _add_help_and_arguments(
    parser: argparse.ArgumentParser,
    module: ModuleType,
    words: Sequence[str],
    every: bool,
) -> None:
    """Adds help and arguments of a verb to its parser.

    Args:
        parser: the parser of the verb.
        module: the module of the verb.
        words: the typed words after the verb.
        every: whether verbs below this one that were not typed get arguments, too.
    """
    parser.description = module.HELP
    parser.epilog = f"example:\n  {module.EXAMPLE}"
    # a package of verbs, such as `embodied data`, has further verbs instead of arguments
    if hasattr(module, "VERBS"):
        add_verbs(parser, module.__name__, module.VERBS, words, every=every)
        return
    parser.set_defaults(run=module.run)
    module.add_arguments(parser)
