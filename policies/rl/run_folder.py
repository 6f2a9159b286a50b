"""An actor on disk: weights as safetensors, everything else as JSON; nothing in it is executed."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from embodied.core import PolicySpec
from embodied.errors import EmbodiedError
from embodied.policies.rl.actor import Actor, ActorConfig, ActorPolicy
from embodied.policies.vla.run_folder import HISTORY, INFO, SCHEMA_VERSION, WEIGHTS

KIND = "actor"


@dataclass(frozen=True)
class ActorInfo:
    """What must be known to use an actor: what it was trained for, and how."""

    task: str
    robot: str
    spec: PolicySpec
    net: ActorConfig
    algorithm: str
    stage: str
    metadata: dict[str, Any]

    @property
    def planner_hz(self) -> None:
        """It does not plan."""
        return None


def save_actor(folder: Path, actor: Actor, info: ActorInfo, history: list[dict[str, float]]) -> None:
    """Writes a run folder; each file is replaced whole, the one that makes it a run last."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{WEIGHTS}.tmp"
    save_file({name: value.contiguous() for name, value in actor.state_dict().items()}, temporary)
    os.replace(temporary, folder / WEIGHTS)
    versions = {name: version(name) for name in ("embodied-ground", "torch", "stable-baselines3")}
    stored = {**asdict(info), "kind": KIND, "schema_version": SCHEMA_VERSION, "versions": versions}
    for name, value in ((HISTORY, history), (INFO, stored)):
        temporary = folder / f".{name}.tmp"
        temporary.write_text(json.dumps(value, indent=1, allow_nan=False), encoding="utf-8")
        os.replace(temporary, folder / name)


def read_actor_info(stored: dict[str, Any]) -> ActorInfo:
    """From the JSON of a run folder."""
    spec = PolicySpec(**{**stored["spec"], "cameras": tuple(stored["spec"]["cameras"])})
    rest = {name: stored[name] for name in ("task", "robot", "algorithm", "stage", "metadata")}
    return ActorInfo(spec=spec, net=ActorConfig.from_json(stored["net"]), **rest)


def load_actor(folder: Path, info: ActorInfo) -> ActorPolicy:
    """The policy of a run folder. Raises EmbodiedError where its weights don't fit."""
    actor = Actor(info.net)
    try:
        actor.load_state_dict(load_file(folder / WEIGHTS))
    except Exception as error:
        raise EmbodiedError(
            f"the weights {folder / WEIGHTS} do not fit {INFO}: {str(error).splitlines()[0]}"
        ) from error
    return ActorPolicy(actor, info.spec)
