"""Policies by name: built in, offered by a package, trained, or in your own module.

A name leads to a `PolicySource`, which makes the policy once there are worlds for it to
act in. `find_policy` takes, in this order:

    expert, random, ...     a policy that is built in
    NAME                    an entry point of an installed package, in the group
                            `embodied.policies`
    FOLDER                  a run that `embodied train` wrote
    MODULE:NAME             a source, or a function that returns one, in a module of the
                            current directory or of an installed package
    remote:HOST:PORT        the policy of a server; PREFIXES has all names of this kind
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol, cast

from embodied import plugins
from embodied.core import Policy, PolicySpec
from embodied.errors import EmbodiedError, in_one_line, unknown
from embodied.policies.locations import is_location, load_attribute
from embodied.policies.run_folder import INFO, read_info

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds
    from embodied.policies.dual_system import DualSystemConfig

GROUP = "embodied.policies"  # of entry points


@dataclass(frozen=True)
class TrainedFor:
    """What reinforcement learning trained a policy for."""

    stage: str  # of the task; "" is the whole task
    level: str


class PolicySource(Protocol):
    """Makes a policy, and declares its requirements on the worlds.

    Attributes:
        planner_hz: the default number of plans per second; None for a policy without
            plans.
        weights_hash: the SHA-256 of the policy's weights or code, which distinguishes the
            results of different versions; "" if there is nothing to hash.
        trained_for: the default stage and level of an evaluation; None except for runs of
            reinforcement learning.
    """

    @property
    def planner_hz(self) -> float | None: ...

    @property
    def weights_hash(self) -> str: ...

    @property
    def trained_for(self) -> TrainedFor | None: ...

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        """Returns the policy's requirements on the worlds.

        Args:
            task: the task's name.
            robot: the robot's name; None for the task's default.

        Raises:
            EmbodiedError: there is no such task or robot, or the policy is for another task
                or robot.
        """

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> Policy:
        """Returns the policy for worlds that meet its requirements, see `spec`.

        Args:
            worlds: the worlds that the policy acts in.
            dual: the timing of plans; None for plans at `planner_hz` without delays. A
                policy without plans ignores it.

        Raises:
            EmbodiedError: the policy does not fit these worlds.
        """


@dataclass(frozen=True)
class BuiltIn:
    """A policy that comes with this package."""

    location: str  # of its source, as "module:attribute"
    summary: str


BUILT_IN = {
    "expert": BuiltIn(
        "embodied.policies.expert:EXPERT",
        "scripted planner and skill controller, sees the privileged state",
    ),
    "expert_chunks": BuiltIn(
        "embodied.policies.expert_chunks:EXPERT_CHUNKS",
        "the expert as a planner of action chunks, 50 actions at 50 Hz, as VLAs give",
    ),
    "expert_waypoints": BuiltIn(
        "embodied.policies.expert_waypoints:EXPERT_WAYPOINTS",
        "the expert as a planner of timed waypoints, 11 poses within a second",
    ),
    "pretrained": BuiltIn(
        "embodied.policies.pretrained:PRETRAINED",
        "trained on demonstrations; ships for ToteTransfer with the robot arm",
    ),
    "random": BuiltIn("embodied.policies.simple:RANDOM", "uniform actions"),
    "hold": BuiltIn("embodied.policies.simple:HOLD", "stays where the episode began"),
}

# Kind of run, as stored in its folder -> location of a function that makes its source from
# the folder and its JSON.
RUN_KINDS = {
    "vla": "embodied.policies.vla.run_folder:VLARun.of",
    "single": "embodied.policies.vla.single_run:SingleRun.of",
    "actor": "embodied.policies.rl.run_folder:ActorRun.of",
}

# The part of a name before its first colon -> location of a function that makes the source
# from the part after the colon.
PREFIXES = {
    "remote": BuiltIn(
        "embodied.policies.remote.source:open_remote",
        "HOST:PORT of a server, or FILE.toml that describes one (docs/remote.md)",
    ),
    "lerobot": BuiltIn(
        "embodied.policies.remote.lerobot_policy:open_lerobot",
        "FOLDER of a policy that LeRobot trained on an export of ours",
    ),
    "transformers": BuiltIn(
        "embodied.policies.vlm.source:open_transformers",
        "FOLDER of a vision-language model that plans, or FILE.toml (docs/vlm_planner.md)",
    ),
}


def find_policy(name: str) -> PolicySource:
    """Returns the source of a policy by its name, run folder, module or server address.

    The docstring of this module lists the kinds of names in detail.

    Raises:
        EmbodiedError: there is no such policy (the message lists the known ones), or it
            cannot be loaded.
    """
    if not isinstance(name, str):
        raise EmbodiedError(
            f"a policy is found by its name, which is a text, not {name!r}"
        )
    # the order is the order in the module's docstring
    if name in BUILT_IN:
        return resolve_name(BUILT_IN[name].location)

    entry_points = _entry_points()
    if name in entry_points:
        entry = entry_points[name]
        return _load(f"{name} of {plugins.package_of(entry)}", entry.value)
    if name and Path(name).exists():
        return _open_run(Path(name))
    prefix, colon, after_colon = name.partition(":")
    if colon and prefix in PREFIXES:
        return resolve_name(PREFIXES[prefix].location)(after_colon)
    if is_location(name):
        return _load(name, name)
    names = [*BUILT_IN, *entry_points, *run_names()]
    raise EmbodiedError(
        f"{unknown('policy', name, names)}; or MODULE:NAME for one of your own"
    )


def policy_summaries() -> dict[str, str]:
    """Returns name -> description in one line, of the built-in and the packages' policies."""
    summaries = {name: built_in.summary for name, built_in in BUILT_IN.items()}
    for name, entry in _entry_points().items():
        summaries[name] = f"of {plugins.package_of(entry)}"
    return summaries


def run_names() -> list[str]:
    """Returns the paths of the run folders in `runs`, where the examples put them."""
    return sorted(str(path.parent) for path in Path("runs").glob(f"*/{INFO}"))


def _entry_points() -> dict[str, EntryPoint]:
    """Returns the entry points of policies in installed packages, without loading them.

    A package cannot take the name of a built-in policy.
    """
    return plugins.offered(GROUP, dict.fromkeys(BUILT_IN, "embodied"))


def _open_run(folder: Path) -> PolicySource:
    """Returns the source of a run that `embodied train` wrote."""
    stored = read_info(folder)
    # version 0.1 knew only this kind, and did not store it
    kind = stored.get("kind", "vla")
    if kind not in RUN_KINDS:
        raise EmbodiedError(
            f"{folder / INFO} is of the kind {kind!r}; this package reads "
            f"{', '.join(RUN_KINDS)}"
        )

    make_source = cast(
        Callable[[Path, Any], PolicySource], resolve_name(RUN_KINDS[kind])
    )
    try:
        return make_source(folder, stored)
    except (KeyError, TypeError, ValueError) as error:
        raise EmbodiedError(
            f"{folder / INFO} is damaged: {type(error).__name__} {error}"
        ) from error


def _load(name: str, location: str) -> PolicySource:
    """Returns the source at a location.

    Args:
        name: the name of the policy, for error messages.
        location: the location `package.module:NAME` of a source, or of a function that
            returns a source.
    """
    loaded = load_attribute(f"policy {name}", location)
    if _is_source(loaded):
        return loaded
    if not callable(loaded):
        raise _not_a_source_error(name, f"is {_brief(loaded)}")

    # a function that makes the source was loaded
    try:
        source = loaded()
    except EmbodiedError:
        raise
    except (Exception, SystemExit) as error:
        raise EmbodiedError(f"policy {name} raised {in_one_line(error)}") from error
    if not _is_source(source):
        raise _not_a_source_error(name, f"returned {_brief(source)}")
    return source


def _is_source(item: Any) -> bool:
    """Returns whether an object has all members of `PolicySource`."""
    # a class with these members must be called first to make a source
    if isinstance(item, type):
        return False
    members = ("planner_hz", "weights_hash", "trained_for", "spec", "make")
    return all(hasattr(item, name) for name in members)


def _not_a_source_error(name: str, problem: str) -> EmbodiedError:
    """Returns the error for a location that does not lead to a policy source.

    Args:
        name: the name of the policy.
        problem: what was found instead, such as "returned None".
    """
    return EmbodiedError(
        f"policy {name} {problem}, which is no policy: make one with "
        f"embodied.policies.policy_from_function or policy_from_planner"
    )


def _brief(value: object) -> str:
    """Returns a value in a few words, for an error message."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    return f"a {type(value).__name__}"
