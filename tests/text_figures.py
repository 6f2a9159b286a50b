"""How plain the text of the source is: `python tests/text_figures.py` prints a table."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("embodied", "envs", "policies", "datasets", ".ci", "tests")
LONG_FUNCTION_LINES = 12  # of its body, blank lines and docstring aside


@dataclass(frozen=True)
class TextFigures:
    """What a set of modules comes to."""

    lines: int  # that are not blank
    characters: int  # in these lines
    assignments: int
    packed: int  # of these, `a, b = x, y`
    long_functions: int
    with_blank: int  # of these, with a blank line in the body
    with_comment: int  # of these, with a comment on a line of its own in the body

    @property
    def mean_line(self) -> float:
        """Mean length of the lines that are not blank."""
        return self.characters / max(self.lines, 1)

    @property
    def packed_share(self) -> float:
        """Share of the assignments that assign unrelated values in one statement."""
        return self.packed / max(self.assignments, 1)

    @property
    def blank_share(self) -> float:
        """Share of the long functions that have paragraphs."""
        return self.with_blank / max(self.long_functions, 1)

    @property
    def comment_share(self) -> float:
        """Share of the long functions that have a comment line."""
        return self.with_comment / max(self.long_functions, 1)

    def __add__(self, other: TextFigures) -> TextFigures:
        sums = [
            mine + its for mine, its in zip(self._counts, other._counts, strict=True)
        ]
        return TextFigures(*sums)

    @property
    def _counts(self) -> Sequence[int]:
        return tuple(vars(self).values())


def python_files(folders: Iterable[str]) -> list[Path]:
    """Returns the modules in folders of this repository."""
    paths = []
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            if "__pycache__" not in path.parts:
                paths.append(path)
    return sorted(paths)


def figures_of_files(paths: Iterable[Path]) -> TextFigures:
    """Returns the figures of all these modules together."""
    total = TextFigures(0, 0, 0, 0, 0, 0, 0)
    for path in paths:
        total += figures_of_text(path.read_text(encoding="utf-8"))
    return total


def figures_of_text(text: str) -> TextFigures:
    """Returns the figures of one module's text."""
    lines = text.splitlines()
    full = [line for line in lines if line.strip()]
    comments = _comment_lines(text)
    tree = ast.parse(text)

    assignments = 0
    bodies = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            assignments += 1
        elif isinstance(node, ast.AnnAssign):
            assignments += node.value is not None
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            bodies.append(_body_lines(node))

    long_functions = with_blank = with_comment = 0
    for body in bodies:
        filled = [number for number in body if lines[number - 1].strip()]
        if len(filled) < LONG_FUNCTION_LINES:
            continue
        long_functions += 1
        # a blank line between docstring and body is no paragraph's
        with_blank += filled[-1] - filled[0] + 1 > len(filled)
        with_comment += any(number in comments for number in body)

    return TextFigures(
        lines=len(full),
        characters=sum(len(line) for line in full),
        assignments=assignments,
        packed=len(packed_assignments(tree)),
        long_functions=long_functions,
        with_blank=with_blank,
        with_comment=with_comment,
    )


def packed_assignments(tree: ast.AST) -> list[int]:
    """Returns the lines of the assignments with several names on the left and as many
    values written out on the right.
    """
    numbers = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)):
            continue
        if any(isinstance(target, ast.Tuple) for target in node.targets):
            numbers.append(node.lineno)
    return numbers


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> range:
    """Returns the numbers of a function's lines behind its signature and docstring."""
    first = function.body[0]
    start = first.lineno
    if ast.get_docstring(function, clean=False) is not None:
        start = (first.end_lineno or start) + 1
    else:
        # comments above the first statement belong to the body
        start = min(start, _end_of_signature(function) + 1)
    return range(start, (function.end_lineno or start) + 1)


def _end_of_signature(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    parts = [*ast.walk(function.args), function.returns]
    ends = [getattr(part, "end_lineno", None) or 0 for part in parts]
    return max(function.lineno, *ends)


def _comment_lines(text: str) -> set[int]:
    """Returns the numbers of the lines that hold a comment and nothing else."""
    numbers = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        alone = not token.line[: token.start[1]].strip()
        if token.type == tokenize.COMMENT and alone:
            numbers.add(token.start[0])
    return numbers


def main() -> None:
    """Prints the figures of each folder."""
    print("folder     lines  mean line  packed  long functions  blank  comment")
    for folder in FOLDERS:
        figures = figures_of_files(python_files([folder]))
        print(
            f"{folder:<9} {figures.lines:>6} {figures.mean_line:>10.1f}"
            f" {figures.packed_share:>7.1%} {figures.long_functions:>15}"
            f" {figures.blank_share:>6.1%} {figures.comment_share:>8.1%}"
        )


if __name__ == "__main__":
    sys.exit(main())
