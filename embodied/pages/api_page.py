"""Writes docs/api.md, the reference of what users import, from the packages.

Run by `make docs`, or by `python -m embodied.pages.api_page FILE`.
"""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from embodied.files import replace_text

HEAD = """# Reference of what you import

Written by `make docs` from the code; each name's own docstring says more (`help(embodied.envs.Variable)`). Gymnasium's
own calls, and the ids that `import embodied` registers, are in the [README](../README.md).
"""
# Packages are listed by their `__all__`, modules by their public classes and functions.
PACKAGES = (
    "embodied.envs",
    "embodied.robots",
    "embodied.policies",
    "embodied.datasets.windows",
)
MODULES = (
    "embodied.core",
    "embodied.plan",
    "embodied.envs.config",
    "embodied.envs.worlds",
    "embodied.envs.registry",
    "embodied.contract.suite",
    "embodied.envs.sb3",
    "embodied.rollout.rollout",
    "embodied.policies.episodes",
    "embodied.datasets.reader",
    "embodied.datasets.schema",
    "embodied.datasets.recorder",
    "embodied.datasets.writer",
    "embodied.datasets.replay",
    "embodied.rotations",
)


def api_page() -> str:
    """Returns the whole page."""
    sections = [HEAD]
    for name in (*PACKAGES, *MODULES):
        module = import_module(name)
        rows = ["| name | what it is |", "|---|---|"]
        rows += [_row(member, getattr(module, member)) for member in _members(module)]
        sections.append(f"## `{name}`\n\n" + "\n".join(rows) + "\n")
    return "\n".join(sections)


def _members(module: ModuleType) -> list[str]:
    """Returns the public names of a module, in alphabetical order."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__, key=str.lower)

    # without `__all__`: public classes and functions defined in the module
    members = []
    for name, value in vars(module).items():
        is_public = not name.startswith("_") and callable(value)
        if is_public and getattr(value, "__module__", "") == module.__name__:
            members.append(name)
    return sorted(members, key=str.lower)


def _row(name: str, value: Any) -> str:
    """Returns the table row of a name; a function has the names of its parameters."""
    signature = ""
    if inspect.isfunction(value):
        parameters = inspect.signature(value).parameters
        signature = f"({', '.join(parameters)})"
    return f"| `{name}{signature}` | {_summary(value)} |"


def _summary(value: Any) -> str:
    """Returns the first paragraph of a docstring; for a constant, its type."""
    if value is Any:  # `core.Array`
        return "a numpy array or a torch tensor"
    # `getdoc` of a constant returns the docstring of its type
    is_documented = inspect.isclass(value) or inspect.isroutine(value)
    text = inspect.getdoc(value) if is_documented else ""
    if not text:
        return f"a constant of type `{type(value).__name__}`"
    paragraph = " ".join(text.split("\n\n")[0].split())
    return paragraph.replace("|", "\\|")


def main(path: Path) -> None:
    """Writes the page."""
    replace_text(path, api_page())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
