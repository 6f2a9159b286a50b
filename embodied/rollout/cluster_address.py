"""The address of a Ray cluster, and a check that the cluster answers.

If nothing answers, Ray takes minutes to give up, and it waits for ever if another program
listens at the address. The check here fails within seconds.
"""

from __future__ import annotations

import os
import re
import socket
import time
from dataclasses import dataclass

from embodied.errors import EmbodiedError

RAY = "ray"
USUAL_PORT = 6379
# The value of --on; an IPv6 address is in brackets.
ADDRESS_PATTERN = re.compile(
    r"ray:(?P<host>\[[0-9a-f:]+\]|[^\s:/\[\]]+):(?P<port>[0-9]{1,5})"
)
ANSWER_WITHIN_S = 10.0
# Ray's head speaks gRPC, which is HTTP/2: both sides begin with a frame of settings.
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEADER_BYTES = 9  # length (3), type (1), flags (1), stream (4)
SETTINGS_FRAME_TYPE = 4
NO_SETTINGS = bytes([0, 0, 0, SETTINGS_FRAME_TYPE, 0, 0, 0, 0, 0])


@dataclass(frozen=True)
class ClusterAddress:
    """Host and port of a cluster's head."""

    host: str
    port: int

    @property
    def text(self) -> str:
        """The address as a user types it, e.g. "10.0.0.1:6379"."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def cluster_address(text: str) -> ClusterAddress | None:
    """Returns the address in `text`, the value of --on: `ray:HOST:PORT`, or `ray`.

    `ray` means the address in RAY_ADDRESS, which `ray job submit` sets. Without it the
    address is None: Ray then starts on this machine.

    Raises:
        EmbodiedError: the value is invalid.
    """
    origin = "--on"
    if text == RAY:
        known = os.environ.get("RAY_ADDRESS", "local")
        if known == "local":
            return None
        text = f"{RAY}:{known}"
        origin = "--on ray with RAY_ADDRESS"
    if text.startswith(f"{RAY}://"):
        raise EmbodiedError(
            f"{origin}: {text} is the address of a Ray Client, which is not used: type "
            "--on ray:HOST:PORT on a node of the cluster, or send the command there "
            "with `ray job submit -- embodied ... --on ray`"
        )

    # an IPv6 host is in brackets, so that its colons differ from that before the port
    match = ADDRESS_PATTERN.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise EmbodiedError(
            f"{origin} must be ray, or ray:HOST:PORT, e.g. ray:10.0.0.1:{USUAL_PORT}, "
            f"not {text!r}"
        )
    host = match["host"].removeprefix("[").removesuffix("]")
    return ClusterAddress(host, int(match["port"]))


def require_answer(address: ClusterAddress, within_s: float = ANSWER_WITHIN_S) -> None:
    """Raises EmbodiedError unless a gRPC server answers at `address` in `within_s` s."""
    # greet the server as an HTTP/2 client does, and wait for the header of its answer
    deadline_s = time.monotonic() + within_s
    try:
        endpoint = (address.host, address.port)
        with socket.create_connection(endpoint, timeout=within_s) as connection:
            connection.sendall(HTTP2_PREFACE + NO_SETTINGS)
            answer = b""
            while len(answer) < FRAME_HEADER_BYTES:
                # at least 1 ms: a timeout of 0 means "do not wait", a negative one raises
                connection.settimeout(max(0.001, deadline_s - time.monotonic()))
                received = connection.recv(FRAME_HEADER_BYTES)
                if not received:
                    break
                answer += received
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        if isinstance(error, TimeoutError):
            reason = f"nothing came back in {within_s:g} s"
        raise _no_answer(address, reason) from None

    # byte 3 of a frame is its type; an HTTP/2 server answers with a settings frame
    is_settings = answer[3:4] == bytes([SETTINGS_FRAME_TYPE])
    if len(answer) < FRAME_HEADER_BYTES or not is_settings:
        raise _no_answer(address, "what listens there is another program")


def _no_answer(address: ClusterAddress, reason: str) -> EmbodiedError:
    """Returns the error for an address at which no cluster answers."""
    return EmbodiedError(
        f"no Ray cluster answers at {address.text} ({reason}): see `ray status` for its "
        f"address, start one with `ray start --head --port {address.port}`, or leave out "
        "the address (--on ray) for this machine alone"
    )
