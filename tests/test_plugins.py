"""Installed packages whose entry points are broken break nothing else."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from embodied import plugins
from embodied.cli.main import main
from embodied.envs import registry
from embodied.envs.registry import get_robot, get_task, robot_names, task_names
from embodied.errors import EmbodiedError
from embodied.policies.registry import find_policy, policy_summaries
from tests.commands import run_python

ROOT = Path(__file__).parent.parent
GROUPS = ("embodied.tasks", "embodied.robots", "embodied.policies")
TAKEN = {
    "embodied.tasks": "PanelReset",
    "embodied.robots": "arm",
    "embodied.policies": "expert",
}

GOOD = """
from dataclasses import replace
from embodied.envs.tasks.panel_reset.task import PANEL_RESET
from embodied.policies import PolicySpec, policy_from_function
from embodied.robots import ARM

TASK = replace(PANEL_RESET, name="Good-task")
ROBOT = replace(ARM, name="good_robot")
POLICY = policy_from_function(lambda observation, signals: 0, PolicySpec())
"""
MODULES = {
    "good_things": GOOD,
    "broken_syntax": "def f(:\n",
    "broken_import": "import no_such_module_at_all\n",
    "broken_code": "1 / 0\n",
    "ends_the_program": "import sys\nsys.exit('bye')\n",
    "wrong_things": "THING = 3\nclass Named:\n    name = 'Wrong'\nNAMED = Named\n",
}
# Places that cannot be loaded, and what is said of each.
BROKEN = {
    "broken_syntax:THING": "SyntaxError",
    "broken_import:THING": "no_such_module_at_all",
    "broken_code:THING": "ZeroDivisionError",
    "ends_the_program:THING": "SystemExit: bye",
    "no_such_package:THING": "no_such_package",
    "wrong_things:MISSING": "MISSING",
    "wrong_things:THING": "",  # a number
    "wrong_things:NAMED": "",  # a class
    "not a place": "not a place",
    "good_things": "",  # a module
}


class Site:
    """A folder of installed packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in MODULES.items():
            (folder / f"{name}.py").write_text(text)

    def install(self, package: str, *entry_points: str | bytes) -> None:
        """Installs a package with these lines in its `entry_points.txt`."""
        info = self.folder / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        )
        lines = [
            line if isinstance(line, bytes) else line.encode() for line in entry_points
        ]
        (info / "entry_points.txt").write_bytes(b"\n".join(lines))

    def install_good(self) -> None:
        """Installs one that is as it should be."""
        self.install(
            "good-package",
            "[embodied.tasks]\nGood-task = good_things:TASK",
            "[embodied.robots]\ngood_robot = good_things:ROBOT",
            "[embodied.policies]\ngood_policy = good_things:POLICY",
        )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    caches = (registry._places, registry._offered, registry._load)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    for cache in caches:
        cache.cache_clear()
    yield Site(tmp_path)
    for cache in caches:
        cache.cache_clear()
    for name in MODULES:
        sys.modules.pop(name, None)


def look_up_all() -> None:
    task_names()
    robot_names()
    policy_summaries()


def works(capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """Returns the names that `embodied list` shows, once the good package works."""
    assert get_task("Good-task").name == "Good-task"
    assert get_robot("good_robot").name == "good_robot"
    assert find_policy("good_policy").planner_hz is None
    assert get_task("PanelReset").name == "PanelReset"

    assert main(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    shown = {kind: [row["name"] for row in rows] for kind, rows in listed.items()}
    assert "embodied/Good-task-v0" in shown["tasks"]
    assert "good_robot" in shown["robots"]
    assert "good_policy" in shown["policies"]
    return shown


def test_a_good_package_needs_no_warning(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.install_good()
    shown = works(capsys)
    assert len(shown["tasks"]) == len(registry.TASKS) + 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("name", ["taken", "two words", "a/b", "ü", "x!", "-v"])
def test_a_name_that_is_taken_or_malformed(
    site: Site, capsys: pytest.CaptureFixture[str], group: str, name: str
) -> None:
    name = TAKEN[group] if name == "taken" else name
    site.install("bad-package", f"[{group}]\n{name} = wrong_things:THING")
    site.install_good()

    with pytest.warns(UserWarning, match="the package bad-package: .* is left out"):
        look_up_all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # policies are looked for each time
        shown = works(capsys)
    assert all(f"embodied/{name}-v0" not in tasks for tasks in shown["tasks"][6:])


@pytest.mark.parametrize("group", GROUPS)
def test_two_packages_want_one_name(site: Site, group: str) -> None:
    for package in ("one", "two"):
        site.install(package, f"[{group}]\nsame = good_things:THING")
    message = "the package (one|two): .*'same'.* the package (one|two) has that name"
    with pytest.warns(UserWarning, match=message):
        look_up_all()


@pytest.mark.parametrize("place", BROKEN)
def test_what_cannot_be_loaded(
    site: Site, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    lines = [f"[{group}]\nbad_thing = {place}" for group in GROUPS]
    site.install("bad-package", *lines)
    site.install_good()

    # asked for by its name, it is one line
    for get in (get_task, get_robot, find_policy):
        with pytest.raises(EmbodiedError, match="bad-package") as refused:
            get("bad_thing")
        assert "bad_thing" in str(refused.value)
        assert BROKEN[place] in str(refused.value)
        assert len(str(refused.value).splitlines()) == 1

    # where all are listed, it is left out
    message = "the (task|robot) 'bad_thing' of the package bad-package cannot be"
    with pytest.warns(UserWarning, match=message) as warned:
        shown = works(capsys)
    assert {str(warning.message).split()[1] for warning in warned} == {"task", "robot"}
    assert "embodied/bad_thing-v0" not in shown["tasks"]
    assert "bad_thing" not in shown["robots"]


@pytest.mark.parametrize(
    "lines",
    [
        ("[embodied.tasks]\nno equals sign",),
        ("[console_scripts]\nno equals sign",),
        (b"\xff\xfe[embodied.tasks]",),
    ],
    ids=["ours", "another group", "binary"],
)
def test_a_file_that_cannot_be_read(
    site: Site, capsys: pytest.CaptureFixture[str], lines: tuple[str | bytes]
) -> None:
    site.install("bad-package", *lines)
    site.install_good()
    with pytest.warns(UserWarning, match="the package bad-package is left out"):
        works(capsys)


def test_a_package_without_metadata_is_named_by_its_folder(site: Site) -> None:
    site.install("bad_package", "[embodied.tasks]\nPanelReset = x:Y")
    (site.folder / "bad_package-1.0.dist-info" / "METADATA").unlink()
    with pytest.warns(UserWarning, match="the package bad_package"):
        task_names()


def test_an_error_made_of_a_warning_breaks_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plugins.warn("the package x is left out")
    assert capsys.readouterr().err == "warning: the package x is left out\n"


def test_the_import_survives_them_all(site: Site) -> None:
    """In an interpreter of its own, for which every warning is an error."""
    site.install("bad-name", "[embodied.tasks]\nbad name = good_things:TASK")
    site.install("taken-name", "[embodied.tasks]\nPanelReset = good_things:TASK")
    site.install("bad-file", "[embodied.robots]\nnonsense")
    site.install("bad-module", "[embodied.tasks]\nGone = broken_code:TASK")
    site.install_good()

    code = (
        "import embodied, gymnasium;"
        "env = gymnasium.make('embodied/Good-task-v0');"
        "env.reset(seed=0);"
        "print(env.unwrapped.task, 'embodied/Gone-v0' in gymnasium.registry)"
    )
    path = os.pathsep.join([str(ROOT), str(site.folder)])
    output = run_python("-W", "error", "-c", code, PYTHONPATH=path)
    assert "Good-task True" in output
