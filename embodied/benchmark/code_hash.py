"""Hashes the code that a figure was measured with.

Comments, docstrings and layout do not change the hash.
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
    """Returns the SHA-256 of modules and of everything that they import, recursively.

    Only imports at the top level of a module count, and only those of the same top-level
    packages as `modules`.

    Args:
        modules: names of modules.
        without: names of modules to leave out.
    """
    # follow the imports until every module that they reach was visited
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

    code_texts = "\n".join(f"{name} {_code_text(name)}" for name in sorted(visited))
    return hashlib.sha256(code_texts.encode()).hexdigest()


@cache
def _source(name: str) -> str | None:
    """Returns a module's source text; None if the name is no Python module.

    Looking it up imports its parent packages, but not the module itself.
    """
    spec = _spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin).read_text(encoding="utf-8")


def _spec(name: str) -> ModuleSpec | None:
    """Returns the import system's spec of a module; None if the name is no module.

    `find_spec` alone would raise an error if the part before the last dot is no package.
    """
    package = name.rpartition(".")[0]
    if package:
        parent = _spec(package)
        # if the parent is a module, `name` is a function or class in it
        if parent is None or parent.submodule_search_locations is None:
            return None
    return importlib.util.find_spec(name)


@cache
def _code_text(name: str) -> str:
    """Returns the module's syntax tree as text, without docstrings."""
    tree = ast.parse(_source(name) or "")
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [part for part in body if not _is_docstring(part)]
    return ast.dump(tree)


def _is_docstring(node: ast.AST) -> bool:
    """Returns whether a statement is a bare constant: a docstring, or without effect."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@cache
def _imports(name: str) -> frozenset[str]:
    """Returns the modules that a module imports when it is loaded."""
    # top-level statements only: imports in functions and `if` blocks do not count
    tree = ast.parse(_source(name) or "")
    modules = set()
    for node in tree.body:
        # `from a import b` names `a` and `a.b`; `a.b` may also be a function or class
        imported = _imported_names(node)
        modules |= {other for other in imported if _source(other) is not None}
    return frozenset(modules)


def _imported_names(node: ast.stmt) -> Iterator[str]:
    """Yields the full names in an import statement, e.g. `a` and `a.b`.

    Relative imports are ignored: this package has none.
    """
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    # the level of a relative import is its number of leading dots
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
