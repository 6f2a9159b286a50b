"""Code of a user's own, found as `package.module:NAME`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from embodied.errors import EmbodiedError, in_one_line, unknown


def is_location(name: str) -> bool:
    """Returns whether a name reads like `package.module:NAME`."""
    module, colon, attribute = name.partition(":")
    words = [*module.split("."), *attribute.split(".")]
    return bool(colon) and all(word.isidentifier() for word in words)


def load_attribute(what: str, location: str) -> Any:
    """Returns what `package.module:NAME` names; NAME may be a dotted path.

    Modules of the current directory are found, too.

    Args:
        what: what it is meant to be, such as "policy my_planner:mine", for errors.
        location: where it is.

    Raises:
        EmbodiedError: there is no such module or name, or the module cannot be
            imported.
    """
    module_name, _, attribute = location.partition(":")
    module = _import(what, module_name)
    item: Any = module
    for word in attribute.split("."):
        if not hasattr(item, word):
            public = [key for key in vars(module) if not key.startswith("_")]
            raise unknown(f"{what}: {module.__name__} has no", attribute, public)
        item = getattr(item, word)
    return item


def _import(what: str, module_name: str) -> Any:
    """Returns a module; `what` is for error messages."""
    # A console script, unlike `python -m`, does not look into the current directory.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)

    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # What is missing may be something that the module itself imports, and not that
        # module or a package around it.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise EmbodiedError(f"{what}: {in_one_line(error)}") from error
        raise EmbodiedError(
            f"{what}: there is no module {error.name!r}, neither in {here} nor "
            f"installed"
        ) from error
    except EmbodiedError:
        raise
    # a module may even end the program when it is imported
    except (Exception, SystemExit) as error:
        raise EmbodiedError(
            f"{what}: importing {module_name} raised {in_one_line(error)}"
        ) from error
