"""A hash of the code that a figure was measured with.

It changes with the code's meaning, not with comments, docstrings or layout.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path


def code_hash(modules: Iterable[str], without: Collection[str] = ()) -> str:
    """Returns the SHA-256 of modules and of all that they import, directly or not.

    Imports within functions, or for types alone, do not count, nor do those of other
    top-level packages than the modules' own.

    Args:
        modules: names of modules.
        without: names of modules that are left out.
    """
    # follow the imports until nothing new turns up
    waiting = set(modules)
    visited = set[str]()
    packages = {name.partition(".")[0] for name in waiting}
    while waiting:
        name = waiting.pop()
        visited.add(name)
        own_imports = {
            module for module in _imports(name) if module.partition(".")[0] in packages
        }
        waiting |= own_imports - visited - set(without)

    meanings = "\n".join(f"{name} {_meaning(name)}" for name in sorted(visited))
    return hashlib.sha256(meanings.encode()).hexdigest()


@cache
def _source(name: str) -> str | None:
    """Returns a module's text; None for a name that is no Python module.

    Nothing is run but the `__init__` modules of the packages that it is in.
    """
    spec = _spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin).read_text(encoding="utf-8")


def _spec(name: str) -> ModuleSpec | None:
    """Returns where a module is found; None for a name that is no module.

    `find_spec` itself raises an error where the part before the last dot is no package.
    """
    package = name.rpartition(".")[0]
    if package:
        parent = _spec(package)
        # where the parent is no package, `name` is something in a module
        if parent is None or parent.submodule_search_locations is None:
            return None
    return importlib.util.find_spec(name)


@cache
def _meaning(name: str) -> str:
    """Returns the module's syntax tree as text, without docstrings."""
    tree = ast.parse(_source(name) or "")
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [part for part in body if not _is_docstring(part)]
    return ast.dump(tree)


def _is_docstring(node: ast.AST) -> bool:
    """Returns whether a statement is a constant alone, which does nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@cache
def _imports(name: str) -> frozenset[str]:
    """Returns the modules that a module imports when it is loaded."""
    # top-level statements alone: imports in functions and `if` blocks do not count
    tree = ast.parse(_source(name) or "")
    modules = set()
    for node in tree.body:
        # of `from a import b` the names are `a` and `a.b`, which may be no module
        imported = _imported_names(node)
        modules |= {other for other in imported if _source(other) is not None}
    return frozenset(modules)


def _imported_names(node: ast.stmt) -> Iterator[str]:
    """Yields the names in an import statement: of modules, or of what is in them.

    Relative imports are left out: this package has none.
    """
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
