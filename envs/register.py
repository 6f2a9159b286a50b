"""The tasks' ids in Gymnasium. Nothing is loaded before an environment is made."""

from __future__ import annotations

import gymnasium

from embodied.envs.registry import task_id, task_names


def register_tasks() -> None:
    """Registers every task that is not yet: `gymnasium.make("embodied/<Task>-v0")`.
    Episodes truncate themselves.
    """
    for name in task_names():
        if task_id(name) not in gymnasium.registry:
            gymnasium.register(
                id=task_id(name),
                entry_point="embodied.envs.env:make_env",
                vector_entry_point="embodied.envs.vector_env:make_vector_env",
                kwargs={"task": name},
            )
