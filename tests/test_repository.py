"""What keeps the repository as it was meant: sizes, layout, laziness, one version of
each fact.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import embodied
from tests.text_figures import (
    FOLDERS,
    ROOT,
    figures_of_files,
    figures_of_text,
    packed_assignments,
    python_files,
)

SOURCE_FOLDERS = ("embodied", "envs", "policies", "datasets")
SOURCES = python_files(SOURCE_FOLDERS)
# of the source and of the tests, each as a whole (see text_figures.py)
MAX_MEAN_LINE = 46.0  # characters
MAX_PACKED_SHARE = 0.01
MIN_BLANK_SHARE = 0.6
MIN_COMMENT_SHARE = 0.4
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_CONSTRUCTOR_ARGUMENTS = 7
HEAVY = (
    "torch",
    "stable_baselines3",
    "OpenGL",
    "mujoco.egl",
    "mujoco.osmesa",
    "matplotlib",
    "av",
)


def oversized(text: str) -> list[str]:
    """What in a module's text is larger than style allows."""
    lines = text.count("\n")
    problems = [f"{lines} lines"] if lines > MAX_MODULE_LINES else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                problems.append(f"{node.name}: {length} lines")
            arguments = [
                *node.args.posonlyargs,
                *node.args.args,
                *node.args.kwonlyargs,
            ][1:]
            if node.name == "__init__" and len(arguments) > MAX_CONSTRUCTOR_ARGUMENTS:
                problems.append(f"{node.name}: {len(arguments)} arguments")
    return problems


def in_child(code: str) -> str:
    """What a fresh interpreter prints; it knows nothing of the GL that this process may
    have chosen.
    """
    environment = {
        k: v
        for k, v in os.environ.items()
        if k not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")
    }
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_sizes() -> None:
    problems = {path: oversized(path.read_text()) for path in SOURCES}
    assert {path: found for path, found in problems.items() if found} == {}


def test_the_size_test_finds_what_is_too_large() -> None:
    function = "def f():\n" + "    x = 1\n" * 60
    constructor = "class C:\n    def __init__(self, a, b, c, d, *, e, f, g, h): ...\n"
    assert oversized("x = 1\n" * 401) == ["401 lines"]
    assert oversized(function) == ["f: 61 lines"]
    assert oversized(constructor) == ["__init__: 8 arguments"]


def test_one_assignment_a_statement() -> None:
    packed = {
        path: packed_assignments(ast.parse(path.read_text()))
        for path in python_files(FOLDERS)
    }
    assert {path: lines for path, lines in packed.items() if lines} == {}


@pytest.mark.parametrize(
    "folders", [SOURCE_FOLDERS, ("tests",)], ids=["source", "tests"]
)
def test_the_text_is_plain(folders: tuple[str, ...]) -> None:
    figures = figures_of_files(python_files(folders))
    assert figures.mean_line < MAX_MEAN_LINE
    assert figures.packed_share < MAX_PACKED_SHARE
    assert figures.blank_share > MIN_BLANK_SHARE
    assert figures.comment_share > MIN_COMMENT_SHARE


def test_the_figures_of_a_text() -> None:
    ten = "    x = 1\n" * 10
    text = (
        f'def dense(\n    a: int,\n) -> None:\n    """Says.\n\n    More.\n    """\n\n{ten}{ten}'
        f"def plain():\n    # why\n    a, b = 1, 2\n\n    c = a, b\n{ten}"
        f"def short():\n    # why\n\n{ten}"
    )
    figures = figures_of_text(text)
    assert figures.lines == 7 + 20 + 4 + 10 + 2 + 10 - 1
    assert figures.assignments == 42
    assert figures.packed == 1

    # `dense` and `plain` are long; of these `plain` has a blank line and a comment.
    assert figures.long_functions == 2
    assert figures.with_blank == 1
    assert figures.with_comment == 1

    # Figures of several modules add up, and shares stay as they are.
    doubled = figures + figures
    assert doubled.long_functions == 4
    assert doubled.mean_line == figures.mean_line
    assert figures.packed_share == 1 / 42
    assert figures.blank_share == figures.comment_share == 0.5


def test_layout_guards() -> None:
    # or it would shadow Hugging Face's `datasets`
    assert not (ROOT / "datasets" / "__init__.py").exists()
    # or pytest would put the root, and `datasets` with it, on sys.path
    assert not (ROOT / "conftest.py").exists()
    for folder in ("envs", "policies", "datasets"):
        link = ROOT / "embodied" / folder
        assert link.is_symlink()
        assert os.readlink(link) == f"../{folder}"


def test_every_package_but_datasets_has_an_init() -> None:
    packages = {
        path.parent for path in SOURCES if not path.is_relative_to(ROOT / "datasets")
    }
    assert [
        str(package) for package in packages if not (package / "__init__.py").is_file()
    ] == []


def test_no_relative_imports() -> None:
    relative = [
        f"{path}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_import_is_lazy() -> None:
    code = "import embodied, json, sys; print(json.dumps(list(sys.modules)))"
    loaded = json.loads(in_child(code))
    assert [name for name in HEAVY if name in loaded] == []


def test_the_import_loads_nothing_heavy() -> None:
    code = "import sys, embodied; print(*sys.modules)"
    heavy = {"torch", "stable_baselines3", "mujoco", "h5py", "av", "scipy", "warp"}
    assert not heavy & set(in_child(code).split())


def test_a_copy_without_links_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "embodied").mkdir()
    shutil.copy(ROOT / "embodied" / "__init__.py", tmp_path / "embodied")
    # What an unpacked zip leaves of a link.
    (tmp_path / "embodied" / "envs").write_text("../envs")

    child = subprocess.run(
        [sys.executable, "-c", "import embodied"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 1
    assert (
        "ImportError: embodied/envs should be a link to the folder envs/"
        in child.stderr
    )


def test_the_version_stands_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert embodied.__version__ == project["version"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_constraints_pin_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )

    # Extras may ask for the package itself, with other extras.
    requirement = importlib.import_module("packaging.requirements").Requirement
    required = []
    for text in project["dependencies"]:
        required.append(requirement(text).name)
    for extra in project["optional-dependencies"].values():
        for text in extra:
            if project["name"] not in text:
                required.append(requirement(text).name)

    pinned = {name.lower().replace("_", "-") for name in pins}
    assert set(required) - pinned == set()
    assert pins["mujoco"].startswith("3.17.")
