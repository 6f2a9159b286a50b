"""The tutorial's task, as a file of the user's own and as variants of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from embodied.envs import registry
from embodied.envs.config import EnvConfig
from embodied.envs.own_tasks import register_task
from embodied.envs.task import TaskSpec
from embodied.envs.worlds import Worlds

FILE = Path(__file__).parent.parent / "examples" / "my_tasks" / "my_tasks.py"


@contextmanager
def own_tasks_forgotten() -> Iterator[None]:
    """Lets tasks that are registered within be unknown after it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_OWN", {})
        patch.setattr(gymnasium.envs.registration, "registry", dict(gymnasium.registry))
        patch.setattr(gymnasium, "registry", gymnasium.envs.registration.registry)
        yield


def cube_to_plate() -> TaskSpec:
    """The tutorial's task."""
    register_task(str(FILE))
    return registry.get_task("CubeToPlate")


def worlds_of(spec: TaskSpec, num: int = 2, **settings: Any) -> Worlds:
    """Worlds of a variant of the tutorial's task, without episodes yet."""
    register_task(spec)
    return Worlds(EnvConfig(spec.name, num_threads=1, **settings), num)


def with_method(spec: TaskSpec, name: str, method: Any) -> TaskSpec:
    """Returns the task with another method, or another attribute, once it is bound."""
    variant = type("Variant", (spec.bind,), {name: method})
    return replace(spec, name="Variant", bind=variant)
