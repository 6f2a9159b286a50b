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
    """Returns the SHA-256 of the code that builds task and robot, and that runs them.

    Results with the same hash were measured by the same code.
    """
    spec = worlds.spec
    # functions that build the scene, judge its state, and make the expert
    builders: list[Callable[..., object]] = [spec.build, spec.bind, spec.expert]
    for part in worlds.robot.parts:
        builders += [part.build, type(part)]
    modules = [_defining_module(builder) for builder in builders]
    modules += [rollout.__name__, dual_system.__name__]

    # The registry imports all tasks. It is left out, because a change to one task would
    # otherwise invalidate the results of all others.
    return code_hash(modules, without=(registry.__name__,))


def _defining_module(builder: Callable[..., object]) -> str:
    """Returns the module of a function, of a class, or of the function in a `partial`."""
    function = builder.func if isinstance(builder, partial) else builder
    module: str = getattr(function, "__module__", type(function).__module__)
    return module
