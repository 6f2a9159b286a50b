"""`embodied completion`: a script that completes verbs and flags in a shell."""

from __future__ import annotations

import argparse

from embodied.cli.parser import LineParser
from embodied.cli.verbs import add_verbs
from embodied.errors import unknown

HELP = """Print a script that completes the verbs and flags of `embodied` in a shell: bash, zsh, fish, tcsh or
powershell. For bash, put it into ~/.local/share/bash-completion/completions/embodied."""
EXAMPLE = "embodied completion bash"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument("shell", metavar="SHELL", help="e.g. bash")


def run(args: argparse.Namespace) -> int:
    """Prints the script."""
    # imported here, because only this verb needs it
    import shtab

    if args.shell not in shtab.SUPPORTED_SHELLS:
        raise unknown("shell", args.shell, shtab.SUPPORTED_SHELLS)
    print(shtab.complete(whole_parser(), args.shell))
    return 0


def whole_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command, with the arguments of all verbs."""
    # imported here to avoid a cycle, because `main` imports the modules of all verbs
    from embodied.cli.main import VERBS

    parser = LineParser(prog="embodied")
    add_verbs(parser, "embodied.cli", VERBS, [], every=True)
    return parser
