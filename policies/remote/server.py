"""The server: access control, limits of messages, and answers to clients."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import logging
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from embodied.closing import ClosedOnExit
from embodied.errors import EmbodiedError, in_one_line, one_line
from embodied.policies.remote.client import limit_sending
from embodied.policies.remote.codec import MAX_BYTES, pack, unpack
from embodied.policies.remote.packages import websockets_server
from embodied.policies.remote.session import Served, Session

if TYPE_CHECKING:
    from websockets.http11 import Request, Response
    from websockets.sync.server import ServerConnection

DEFAULT_PORT = 8000  # as in openpi
MAX_CLIENTS = 64  # clients at the same time
MIN_TOKEN = 16  # the least number of characters of a token
SEND_TIMEOUT_S = 20.0  # a client that does not read for so long is disconnected
FAILED = 1011  # WebSocket's code for closing after an error, as in openpi
HEALTH = "/healthz"  # path of a request that asks whether the server is running


class PolicyServer(ClosedOnExit):
    """Serves a policy over WebSocket, with openpi's protocol.

    Web pages (recognised by their Origin) and clients without the token are refused.

    Args:
        served: the policy to serve.
        host: the address to listen at; addresses that other machines reach need a token.
        port: the port to listen at; 0 for any free port.
        token: the token that clients must send; "" for none.
        max_bytes: the largest message to read.

    Raises:
        EmbodiedError: a token is needed, or the address is not available.
    """

    def __init__(
        self,
        served: Served,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        token: str = "",
        max_bytes: int = MAX_BYTES,
    ) -> None:
        check_access(host, token)
        self._served = served
        self._greeting = pack(served.info.to_message())  # first message to each client
        self._token = token
        self._max_bytes = max_bytes
        try:
            self._server = websockets_server().serve(
                self._serve,
                host,
                port,
                # accept only requests without an Origin: every web page sends one
                origins=[None],
                process_request=self._admit,
                compression=None,
                max_size=max_bytes,
                logger=_silent(),
            )
        except (OSError, OverflowError) as error:
            raise EmbodiedError(
                f"cannot listen at {host}, port {port}: {one_line(error)}: choose "
                "another --port or --host"
            ) from error
        # the port that the system chose, if `port` is 0
        self.port: int = self._server.socket.getsockname()[1]

    def serve_forever(self) -> None:
        """Answers clients until `close` is called, from another thread."""
        self._server.serve_forever()

    def close(self) -> None:
        """Closes all connections, and waits until they are closed."""
        self._server.shutdown()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Returns the response to a refused request or a health check; None to accept.

        The server calls this before it opens a connection.
        """
        if self._token and not self._has_token(request):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "a token is needed\n")
        if request.path == HEALTH:
            return connection.respond(HTTPStatus.OK, "OK\n")
        if len(self._server.connections) >= MAX_CLIENTS:
            reason = f"{MAX_CLIENTS} clients are served already\n"
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, reason)
        return None

    def _has_token(self, request: Request) -> bool:
        """Returns whether a request has the token.

        The comparison takes the same time for any wrong token, so that an attacker cannot
        guess the token piece by piece from the time.
        """
        given = request.headers.get_all("Authorization")
        expected = f"Api-Key {self._token}".encode()
        return len(given) == 1 and hmac.compare_digest(
            given[0].encode(errors="replace"), expected
        )

    def _serve(self, connection: ServerConnection) -> None:
        """Answers one client until it disconnects, or an error occurs."""
        limit_sending(connection.socket, SEND_TIMEOUT_S)
        session = Session(self._served)
        # errors of the connection end the session, but not the server
        with contextlib.suppress(Exception):
            connection.send(self._greeting)
            for data in connection:
                try:
                    answer = pack(session.answer(unpack(data, self._max_bytes)))
                except EmbodiedError as error:
                    self._refuse(connection, one_line(error))
                    return
                # a user's own policy may raise anything
                except Exception as error:
                    self._refuse(connection, f"the policy raised {in_one_line(error)}")
                    return
                connection.send(answer)

    def _refuse(self, connection: ServerConnection, reason: str) -> None:
        """Sends an error to a client as text, like openpi's servers, and disconnects."""
        connection.send(reason)
        connection.close(FAILED)


def check_access(host: str, token: str) -> None:
    """Raises EmbodiedError if other machines could connect without a token.

    Args:
        host: the address to listen at.
        token: the token that clients must send; "" for none.
    """
    if not token and not is_loopback(host):
        raise EmbodiedError(
            f"at {host or 'every address'} others can reach this server: give "
            "--token-file FILE with a secret of at least "
            f"{MIN_TOKEN} letters, or leave out --host"
        )


def is_loopback(host: str) -> bool:
    """Returns whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a host name, which may resolve to any address
        return False


def read_token(path: Path) -> str:
    """Returns the secret in a file.

    Raises:
        EmbodiedError: the file cannot be read, or its content is not a valid secret.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise EmbodiedError(
            f"the token file {path} cannot be read: {one_line(error)}"
        ) from error
    if len(token) < MIN_TOKEN or not token.isprintable() or " " in token:
        raise EmbodiedError(
            f"the token file {path} must hold one word of at least {MIN_TOKEN} letters, "
            "e.g. of `openssl rand -hex 24`"
        )
    return token


def _silent() -> logging.Logger:
    """Returns a disabled logger, so that errors of clients are not printed as the server's."""
    logger = logging.getLogger("embodied.remote")
    logger.disabled = True
    return logger
