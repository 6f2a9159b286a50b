"""What several test modules share: Hypothesis's profile, small datasets and runs that are
made once, and worlds made cheap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers

from embodied.envs import worlds
from embodied.envs.registry import get_task
from embodied.envs.worlds import Worlds
from tests.commands import QUICKLY, collect, embodied

# the same examples in every run, and no deadline, since the machine may be busy
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, max_examples=50
)
settings.load_profile("repeatable")

# Hypothesis gathers constants from the source of each local module that is loaded, and
# tries them in examples. Which modules are loaded depends on the tests before, so without
# these constants a test always has the same examples
providers.__dict__["is_local_module_file"] = lambda path: False


@pytest.fixture(scope="module")
def few_threads() -> Iterator[None]:
    """Software rendering with one thread; else each process takes all cores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of three episodes without pictures."""
    path = tmp_path_factory.mktemp("plain") / "plain.hdf5"
    assert collect(path, "--no-cameras", *QUICKLY) == 0
    return path


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with pictures, and disturbed."""
    path = tmp_path_factory.mktemp("pictures") / "pictures.hdf5"
    words = ("--record-hz", 8, "--image-size", 96, "--noise", 0.05)
    assert collect(path, *words, *QUICKLY) == 0
    return path


@pytest.fixture(scope="session")
def trained(pictures: Path) -> Path:
    """A run folder, trained on these for two steps."""
    run = pictures.parent / "trained"
    assert embodied("train", pictures, "-o", run, "--steps", 2) == 0
    return run


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes of 3 s, of policies that would need 20 s to fail; in this process only."""
    monkeypatch.setattr(
        worlds, "get_task", lambda name: replace(get_task(name), horizon_s=3.0)
    )


@pytest.fixture
def grey_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures for people cost seconds; other tests look at real ones."""

    def render(self: Worlds, world: int, camera: str, size: tuple[int, int]) -> object:
        return np.full((*size, 3), 128, np.uint8)

    monkeypatch.setattr(Worlds, "render", render)
