"""Exports of a package that are imported at their first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_exports(
    namespace: dict[str, Any], exports: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns the functions `__getattr__` and `__dir__` of a package (PEP 562).

    Python calls them for a name that is not in the package's namespace, and for `dir`.

    Args:
        namespace: the package's `globals()`.
        exports: module -> names in it that the package exports.
    """
    module_of = {name: module for module, names in exports.items() for name in names}

    def get(name: str) -> Any:
        """Imports a name of the package when it is first used; Python calls this."""
        if name not in module_of:
            package = namespace["__name__"]
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        # stored in the namespace, so that Python does not call this again
        value = getattr(import_module(module_of[name]), name)
        namespace[name] = value
        return value

    def names() -> list[str]:
        return sorted({*namespace, *module_of})

    return get, names
