"""Hashes the code that the figures of a task with a robot depend on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from embodied.benchmark.code_hash import code_hash
from embodied.envs import registry
from embodied.envs.worlds import Worlds
from embodied.policies import dual_system
from embodied.rollout import rollout


def results_code_hash(worlds: Worlds) -> str:
    """Returns the SHA-256 of the code that builds task and robot, and that runs them."""
    spec = worlds.spec
    makers: list[Callable[..., object]] = [spec.build, spec.bind, spec.expert]
    for part in worlds.robot.parts:
        makers += [part.build, type(part)]
    modules = [_defining_module(maker) for maker in makers]
    modules += [rollout.__name__, dual_system.__name__]

    # the registry imports all tasks: a change to one must not outdate the others' figures
    return code_hash(modules, without=(registry.__name__,))


def _defining_module(part: Callable[..., object]) -> str:
    """Returns the module of a function, of a class, or of the function in a `partial`."""
    function = part.func if isinstance(part, partial) else part
    module: str = getattr(function, "__module__", type(function).__module__)
    return module
