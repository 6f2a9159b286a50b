"""Registers the tasks in Gymnasium, without loading them."""

from __future__ import annotations

import gymnasium

from embodied.envs.registry import task_id, task_names


def register_tasks() -> None:
    """Registers every task that is not yet registered, as `embodied/<Task>-v0`.

    No time limit is registered: episodes are truncated by the environments themselves.
    """
    for name in task_names():
        if task_id(name) not in gymnasium.registry:
            gymnasium.register(
                id=task_id(name),
                entry_point="embodied.envs.making:make_env",
                vector_entry_point="embodied.envs.making:make_vector_env",
                kwargs={"task": name},
            )
