"""The policy `remote:HOST:PORT`, whose planner is a server.

`remote:FILE.toml` is for servers that do not describe themselves, such as openpi's: the
file describes the server (docs/remote.md).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from embodied.core import PolicySpec
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.plan import Controller
from embodied.policies.assembly import dual_system
from embodied.policies.custom import chunk_player, goal_servo, waypoint_follower
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.episodes import env_config_for
from embodied.policies.plans import check_kinds
from embodied.policies.remote.client import Endpoint, Link, Lost, Patience
from embodied.policies.remote.planner import RemotePlanner, check_size
from embodied.policies.remote.server import read_token
from embodied.policies.remote.settings import Settings, read_settings
from embodied.policies.remote.wire import VERSION_KEY, Keys, ServerInfo
from embodied.policies.run_folder import first_difference

TOKEN_VARIABLE = "EMBODIED_TOKEN_FILE"  # noqa: S105  (names a file)
# a host name or IP address (an IPv6 address in brackets), and a port
ADDRESS = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
CONTROLLERS: dict[str, Callable[[Worlds], Controller]] = {
    "goal_servo": goal_servo,
    "chunk_player": chunk_player,
    "waypoint_follower": waypoint_follower,
}


@dataclass(frozen=True)
class RemoteSource:
    """The source of a policy whose planner is a server.

    Attributes:
        endpoint: the server's address, and how to talk to it.
        settings: the description of the server; None if the server describes itself.
    """

    endpoint: Endpoint
    settings: Settings | None = field(default=None)

    trained_for = None

    @cached_property
    def first_message(self) -> dict[str, Any]:
        """The server's first message, in which it may describe itself."""
        uri = self.endpoint.uri
        try:
            with closing(Link(self.endpoint, Patience())) as link:
                return link.connect()
        except Lost as error:
            raise EmbodiedError(
                f"no policy is served at {uri}: {error} (`embodied serve POLICY` serves "
                "one)"
            ) from error

    @cached_property
    def info(self) -> ServerInfo:
        """The server's requirements and outputs."""
        if self.settings is not None:
            # connect once by reading the property, to report a missing server early
            self.first_message  # noqa: B018
            return self.settings.info
        if VERSION_KEY not in self.first_message:
            raise EmbodiedError(
                f"the server at {self.endpoint.uri} does not say what it needs, like "
                "openpi's servers: describe it in a file, and use remote:FILE.toml "
                "(docs/remote.md)"
            )
        return ServerInfo.from_message(self.first_message)

    @property
    def planner_hz(self) -> float:
        return self.info.planner_hz

    @property
    def weights_hash(self) -> str:
        return self.info.weights_hash

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        # make the policy once, so that a server that does not fit is found before an
        # evaluation begins
        spec = self.info.spec
        config = env_config_for(spec, task, level="L1", split="train", robot=robot)
        with closing(Worlds(config)) as worlds:
            self.make(worlds)
        return spec

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> DualSystem:
        info = self.info
        uri = self.endpoint.uri
        if info.trained_in:
            self._check_fits(worlds)
        check_size(info, worlds.interface, uri)

        # A server that describes itself must send the same first message at each
        # connection; from other servers any first message is accepted.
        keys = Keys.of(info.spec.cameras)
        interface = None
        first_message: Mapping[str, Any] | None = self.first_message
        if self.settings is not None:
            keys = self.settings.keys
            interface = worlds.interface if self.settings.physical else None
            first_message = None
        planner = RemotePlanner(
            self.endpoint, info, keys, interface=interface, first_message=first_message
        )
        controller = CONTROLLERS[info.controller](worlds)
        check_kinds(planner, controller)
        return dual_system(
            worlds,
            planner,
            controller,
            spec=info.spec,
            config=dual or DualSystemConfig(planner_hz=info.planner_hz),
        )

    def _check_fits(self, worlds: Worlds) -> None:
        """Raises EmbodiedError if the server's policy was trained for other worlds."""
        uri = self.endpoint.uri
        try:
            difference = first_difference(self.info.trained_in, worlds)
        except KeyError as error:
            raise EmbodiedError(
                f"the server at {uri} does not say its {error}"
            ) from error
        if difference:
            raise EmbodiedError(f"the server at {uri} serves {difference}")


def open_remote(location: str) -> RemoteSource:
    """Returns the source of `remote:HOST:PORT` or `remote:FILE.toml`.

    Args:
        location: HOST:PORT, or the path of a TOML file that describes the server.

    Raises:
        EmbodiedError: the location is neither HOST:PORT nor a valid FILE.toml.
    """
    if location.endswith(".toml"):
        settings = read_settings(Path(location))
        return RemoteSource(_with_token(settings.endpoint), settings)

    # the second group is the port, of 16 bits
    match = ADDRESS.fullmatch(location)
    if match is None or not 0 < int(match[2]) < 65_536:
        raise EmbodiedError(
            f"remote:{location} must be remote:HOST:PORT, e.g. remote:127.0.0.1:8000, or "
            "remote:FILE.toml (docs/remote.md)"
        )
    return RemoteSource(_with_token(Endpoint(f"ws://{location}")))


def _with_token(endpoint: Endpoint) -> Endpoint:
    """Returns an endpoint with the token in the file that TOKEN_VARIABLE names, if set."""
    path = os.environ.get(TOKEN_VARIABLE, "")
    if not path:
        return endpoint
    return replace(endpoint, token=read_token(Path(path)))
