"""Every verb with --robot takes a description, and works with the robot in it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from embodied.cli.completion import whole_parser
from embodied.envs.worlds import Worlds
from embodied.policies.remote.server import PolicyServer
from embodied.policies.remote.session import Served
from tests.commands import TASK, embodied
from tests.six_arm import write_six

ONE = ("--episodes", "1", "--level", "L1")
ALONE = ("--workers", "1", "--num-envs", "1")
# verb -> its words; `{demo}` is a dataset of the described robot
FORMS = {
    "view": (TASK, "--level", "L1", "-o", "film.mp4"),
    "collect": (TASK, *ONE, *ALONE, "-o", "new.hdf5"),
    "teleop": (
        TASK,
        *ONE,
        "--device",
        "script:moves",
        "--headless",
        "-o",
        "takes.hdf5",
    ),
    "train": (TASK, "--algo", "sac", "--stage", "reach", "--steps", "8", "-o", "run"),
    "eval": (TASK, "--policy", "hold", *ONE, *ALONE, "-o", "results"),
    "sweep": ("--task", TASK, "--policy", "expert", *ONE, *ALONE, "-o", "sweep"),
    "serve": ("expert", "--task", TASK, "--port", "0"),
    "data replay": ("{demo}",),
    "data render": ("{demo}", "--camera", "overview", *ALONE, "-o", "seen.hdf5"),
    "data generate": ("{demo}", *ONE, *ALONE, "-o", "made.hdf5"),
    "survey": ("--task", TASK, *ONE, *ALONE, "--no-costs", "-o", "survey.md"),
    "parity": ("--task", TASK, "--device", "cpu", "--starts", "1", "-o", "parity.md"),
    "gallery": ("--task", TASK, "--workers", "1", "-o", "films"),
    "check-task": (TASK,),
    "bench": (TASK, "--episodes", "1"),
}


class Worked(BaseException):
    """Ends a verb as soon as its work begins; says with which robot."""


def begin(worlds: Worlds, *args: object, **kwargs: object) -> NoReturn:
    """Stands in for the beginning of an episode."""
    raise Worked(worlds.robot.name)


def serve(server: PolicyServer, served: Served, *args: object) -> NoReturn:
    """Stands in for a server that waits for its clients."""
    begin(served.worlds)


def verbs_with_robot(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[str]:
    """Yields the verbs of a parser that have the flag --robot."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, below in action.choices.items():
                yield from verbs_with_robot(below, (*words, verb))
        elif "--robot" in action.option_strings:
            yield " ".join(words)


@pytest.mark.slow
def test_every_verb_with_robot_has_a_form() -> None:
    assert set(verbs_with_robot(whole_parser())) == FORMS.keys()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's robot, a demonstration of it, and moves for teleop."""
    folder = tmp_path_factory.mktemp("six")
    path = write_six(folder)
    words = ("collect", TASK, *ONE, *ALONE, "--no-cameras")
    (folder / "moves").write_text('{"move": [0.5, 0, 0]}')
    assert embodied(*words, "--robot", path, "-o", folder / "demo.hdf5") == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("verb", FORMS)
def test_a_verb_works_with_a_described_robot(
    verb: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    for name in ("reset", "begin_recorded"):
        monkeypatch.setattr(Worlds, name, begin)
    monkeypatch.setattr(PolicyServer, "__init__", serve)
    words = [word.format(demo="demo.hdf5") for word in FORMS[verb]]

    with pytest.raises(Worked, match="six"):
        embodied(*verb.split(), *words, "--robot", "six.toml")
