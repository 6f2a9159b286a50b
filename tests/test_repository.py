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

ROOT = Path(__file__).parent.parent
FOLDERS = ("embodied", "envs", "policies", "datasets")
SOURCES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)
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
    found = [f"{lines} lines"] if lines > MAX_MODULE_LINES else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                found.append(f"{node.name}: {length} lines")
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs][1:]
            if node.name == "__init__" and len(given) > MAX_CONSTRUCTOR_ARGUMENTS:
                found.append(f"{node.name}: {len(given)} arguments")
    return found


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


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sizes(path: Path) -> None:
    assert oversized(path.read_text()) == []


def test_the_size_test_finds_what_is_too_large() -> None:
    function = "def f():\n" + "    x = 1\n" * 60
    constructor = "class C:\n    def __init__(self, a, b, c, d, *, e, f, g, h): ...\n"
    assert oversized("x = 1\n" * 401) == ["401 lines"]
    assert oversized(function) == ["f: 61 lines"]
    assert oversized(constructor) == ["__init__: 8 arguments"]


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


def test_import_is_quick() -> None:
    code = "import time; start = time.perf_counter(); import embodied; print(time.perf_counter() - start)"
    assert min(float(in_child(code)) for _ in range(3)) < 1.0


def test_a_copy_without_links_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "embodied").mkdir()
    shutil.copy(ROOT / "embodied" / "__init__.py", tmp_path / "embodied")
    # what an unpacked zip leaves of a link
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


def test_version_is_said_once() -> None:
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
    extras = [
        text for extra in project["optional-dependencies"].values() for text in extra
    ]
    canonical = {name.lower().replace("_", "-") for name in pins}
    requirement = importlib.import_module("packaging.requirements").Requirement
    wanted = [
        requirement(text)
        for text in (*project["dependencies"], *extras)
        if project["name"] not in text
    ]
    assert {w.name for w in wanted} - canonical == set()
    assert pins["mujoco"].startswith("3.17.")
