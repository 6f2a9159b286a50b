"""What code a figure was measured with: a hash that any change of meaning changes, and
no comment does.
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
    """SHA-256 of modules and of all but some that they import from their own top
    packages, also through others.

    What is imported only when needed, or for types alone, does not count; nor do
    comments, docstrings and layout.
    """
    waiting = set(modules)
    seen = set[str]()
    packages = {name.partition(".")[0] for name in waiting}
    while waiting:
        name = waiting.pop()
        seen.add(name)
        found = {
            found for found in _imports(name) if found.partition(".")[0] in packages
        }
        waiting |= found - seen - set(without)
    meanings = "\n".join(f"{name} {_meaning(name)}" for name in sorted(seen))
    return hashlib.sha256(meanings.encode()).hexdigest()


@cache
def _source(name: str) -> str | None:
    """A module's text; None for a name that is no Python module. Runs nothing but the
    packages' own files.
    """
    spec = _spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin).read_text(encoding="utf-8")


def _spec(name: str) -> ModuleSpec | None:
    package = name.rpartition(".")[0]
    if package:
        parent = _spec(package)
        # `name` is something in a module
        if parent is None or parent.submodule_search_locations is None:
            return None
    return importlib.util.find_spec(name)


@cache
def _meaning(name: str) -> str:
    tree = ast.parse(_source(name) or "")
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [part for part in body if not _is_docstring(part)]
    return ast.dump(tree)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@cache
def _imports(name: str) -> frozenset[str]:
    """Modules that one imports when it is loaded itself."""
    tree = ast.parse(_source(name) or "")
    return frozenset(
        found
        for node in tree.body
        for found in _named(node)
        if _source(found) is not None
    )


def _named(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
