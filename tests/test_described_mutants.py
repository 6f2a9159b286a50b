"""Whatever stands in a description or a model: a robot, or one named error."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from embodied.errors import EmbodiedError
from embodied.robots.described.robot import load_robot
from tests.ground import some_of
from tests.six_arm import MJCF, TOML, write_six

# What is put in the place of a value in a description, and of an attribute in a model.
VALUES = (
    "0",
    "-1",
    "1e300",
    "-inf",
    "nan",
    "true",
    '""',
    '"pan"',
    '"left"',
    '"a/b"',
    '"\\u0000"',
    "[]",
    "[[]]",
    "[0, 0, 0]",
    "{}",
    "{ site = 3 }",
    "1979-05-27",
    "99999999999999999999999",
)
ATTRIBUTES = (
    "",
    "0",
    "-1",
    "1e30",
    "nan",
    "0 0 0",
    "1 2 3 4 5 6",
    "left",
    "pan",
    "free",
    "slide",
    "ball",
    "mesh",
    "true",
)


# Keys and tables that the page's description does not have, one of which is added.
ADDED = (
    "body = 1",
    "open = 1",
    "mjcf = 1",
    "[base]",
    '[base]\njoints = ["pan", "lift", "elbow"]',
    '[base]\njoints = ["left", "right", "pan"]\nspeeds = [1, 1, 1]',
    "[mount]\npos_w = [0, 0, 0.6]",
    'held = ["left"]\nheld_at = [0.01]',
    'servos = "file"',
)


def mutated_toml(rng: random.Random) -> str:
    lines = TOML.splitlines()
    place = rng.randrange(len(lines))
    if rng.random() < 0.3:
        del lines[place]
    elif "=" in lines[place]:
        key = lines[place].split("=")[0]
        lines[place] = f"{key}= {rng.choice(VALUES)}"
    else:
        lines.insert(place, rng.choice(ADDED))
    return "\n".join(lines)


def mutated_mjcf(rng: random.Random) -> str:
    attributes = list(re.finditer(r'(\w+)="([^"]*)"', MJCF))
    elements = list(re.finditer(r"<\w+[^<>]*/>", MJCF))
    if rng.random() < 0.25:
        cut = rng.choice(elements)
        return MJCF[: cut.start()] + MJCF[cut.end() :]
    one = rng.choice(attributes)
    value = rng.choice(ATTRIBUTES)
    return f'{MJCF[: one.start()]}{one[1]}="{value}"{MJCF[one.end() :]}'


def mutated(rng: random.Random) -> tuple[str, str]:
    """A description and a model, one of which has a mistake."""
    if rng.random() < 0.5:
        return mutated_toml(rng), MJCF
    return TOML, mutated_mjcf(rng)


def wrong_in(message: str) -> str:
    """What is wrong with an error's text; "" for nothing."""
    if "\n" in message:
        return "it has several lines"
    return "it is too long" if len(message) >= 1500 else ""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # MuJoCo's, of models that no one would write
# 2,040 mutants in all
@pytest.mark.parametrize("seed", some_of(range(34), 3, pytest.mark.exhaustive))
def test_only_named_errors_are_raised(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where MuJoCo leaves its log
    rng = random.Random(seed)
    loaded = 0
    for _ in range(60):
        try:
            load_robot(write_six(tmp_path, *mutated(rng)))
            loaded += 1
        except EmbodiedError as error:
            wrong = wrong_in(str(error))
            assert not wrong
    assert loaded > 3  # or the mutations would test nothing but the reader of TOML
