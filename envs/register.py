"""Registers the tasks in Gymnasium, without loading them."""

from __future__ import annotations

import gymnasium

from embodied.envs.registry import task_id, task_names

MAKER = "embodied.envs.making:make_env"
VECTOR_MAKER = "embodied.envs.making:make_vector_env"


def register_tasks() -> None:
    """Registers every task that is not yet registered, as `embodied/<Task>-v0`.

    No time limit is registered, because the environments truncate episodes themselves.
    """
    for name in task_names():
        if task_id(name) not in gymnasium.registry:
            gymnasium.register(
                id=task_id(name),
                entry_point=MAKER,
                vector_entry_point=VECTOR_MAKER,
                kwargs={"task": name},
            )
