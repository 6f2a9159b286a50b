"""Loads a user's own code by its location `package.module:NAME`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from embodied.errors import EmbodiedError, in_one_line, unknown


def is_location(name: str) -> bool:
    """Returns whether a name has the form `package.module:NAME`."""
    module, colon, attribute = name.partition(":")
    words = [*module.split("."), *attribute.split(".")]
    return bool(colon) and all(word.isidentifier() for word in words)


def load_attribute(what: str, location: str) -> Any:
    """Returns the object at `package.module:NAME`; NAME may be a dotted path.

    Modules in the current directory are found, too.

    Args:
        what: the object in words, for error messages, such as "policy my_planner:mine".
        location: the location of the object.

    Raises:
        EmbodiedError: there is no such module or name, or the module cannot be
            imported.
    """
    module_name, _, attribute = location.partition(":")
    module = _import(what, module_name)
    # follow the dotted path from the module
    item: Any = module
    for name in attribute.split("."):
        if not hasattr(item, name):
            public = [key for key in vars(module) if not key.startswith("_")]
            raise unknown(f"{what}: {module.__name__} has no", attribute, public)
        item = getattr(item, name)
    return item


def _import(what: str, module_name: str) -> Any:
    """Imports and returns a module.

    Args:
        what: the wanted object in words, for error messages.
        module_name: the name of the module.
    """
    # a console script such as `embodied` does not search the current directory, unlike
    # `python -m`, so the directory is added here
    directory = str(Path.cwd())
    if directory not in sys.path:
        sys.path.insert(0, directory)

    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # if neither the module nor a package of its path is missing, the module exists, but
        # a module that it imports is missing
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise EmbodiedError(f"{what}: {in_one_line(error)}") from error
        raise EmbodiedError(
            f"{what}: there is no module {error.name!r}, neither in {directory} nor "
            f"installed"
        ) from error
    except EmbodiedError:
        raise
    # SystemExit: a script may end the program when it is imported
    except (Exception, SystemExit) as error:
        raise EmbodiedError(
            f"{what}: importing {module_name} raised {in_one_line(error)}"
        ) from error
