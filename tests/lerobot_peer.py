"""An environment with LeRobot in it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.acceptance import install, make_environment, packages_of

# LeRobot 0.6.1 asks for other versions of much that it runs with as well, and for
# Python 3.12, of which it uses a few lines of syntax.
LEROBOT = "lerobot==0.6.1"
REQUIREMENTS = ("datasets", "draccus", "einops", "termcolor", "huggingface_hub")
AV = "av==15.1.0"  # the newest that has what LeRobot uses of it


def make_lerobot(folder: Path) -> Path:
    """Returns a Python that has LeRobot besides what the present one has."""
    python = make_environment(folder)
    install(python, *REQUIREMENTS)
    install(python, "--no-deps", AV)
    install(python, "--no-deps", "--ignore-requires-python", LEROBOT)
    for file in (packages_of(python) / "lerobot").rglob("*.py"):
        text = file.read_text()
        if with_older_syntax(text) != text:
            file.write_text(with_older_syntax(text))
    return python


def with_older_syntax(text: str) -> str:
    """A module's text with the type parameters of Python 3.12 written as in 3.11."""
    variables: list[str] = []

    def older(match: re.Match[str]) -> str:
        kind, name, parameters, rest = match.groups()
        names = [each.split(":")[0].strip() for each in parameters.split(",")]
        variables.extend(names)
        if kind == "def":
            return f"def {name}({rest})"
        bases = [*filter(None, [rest]), f"typing.Generic[{', '.join(names)}]"]
        return f"class {name}({', '.join(bases)})"

    text = re.sub(r"^type (\w+) = (.*)$", r'\1 = "\2"', text, flags=re.MULTILINE)
    head = r"^(class|def) (\w+)\[([\w, :]+)\](?:\((.*)\))?"
    text = re.sub(head, older, text, flags=re.MULTILINE)
    if not variables:
        return text

    lines = ["import typing"]
    lines += [f"{name} = typing.TypeVar({name!r})" for name in dict.fromkeys(variables)]
    first_import = re.search(r"^(import|from) (?!__future__)", text, re.MULTILINE)
    assert first_import
    start = first_import.start()
    return "\n".join([text[:start], *lines, text[start:]])
