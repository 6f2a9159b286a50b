"""The client's end: a connection that is lost and made again, and never waits for ever."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from embodied.closing import ClosedOnExit
from embodied.errors import EmbodiedError, one_line
from embodied.policies.remote.codec import MAX_BYTES, MessageError, pack, unpack
from embodied.policies.remote.packages import websockets_client

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

TIMEOUT_S = 10.0  # of a handshake, and of an answer
CLOSE_TIMEOUT_S = 1.0
PATIENCE_S = 5.0  # how long a connection that breaks is mended before plans are lost
FIRST_PAUSE_S = 0.1  # between two attempts; each next one is twice as long
LONGEST_PAUSE_S = 8.0
MessageFor = Callable[[bool], Mapping[str, Any]]
REFUSALS = (401, 403)  # a server that answers so will not change its mind


@dataclass(frozen=True)
class Endpoint:
    """Where a server is.

    Attributes:
        uri: such as `ws://127.0.0.1:8000`.
        token: that it asks for; "" for none.
        timeout_s: how long an answer is waited for.
        max_bytes: the largest message that is read.
    """

    uri: str
    token: str = ""
    timeout_s: float = TIMEOUT_S
    max_bytes: int = MAX_BYTES


class Lost(Exception):  # noqa: N818  (no error: it is what networks do)
    """The server did not answer: the connection broke, or took too long."""


class Patience:
    """Says when to try again; all connections to one server share it.

    The first time that a server is lost it is waited for. If it does not come back,
    nobody waits for it again, and it is asked now and then, ever more seldom.
    """

    def __init__(self) -> None:
        self._pause_s = FIRST_PAUSE_S
        self._try_at_s = 0.0
        self._give_up_at_s: float | None = None

    def succeeded(self) -> None:
        """Notes an answer."""
        self._pause_s = FIRST_PAUSE_S
        self._try_at_s = 0.0
        self._give_up_at_s = None

    def failed(self, wait: bool) -> bool:
        """Notes that the server was lost; returns whether to try again at once.

        Args:
            wait: whether it is worth to wait for it: not for one that hangs.
        """
        now_s = time.monotonic()
        if self._give_up_at_s is None:
            self._give_up_at_s = now_s + (PATIENCE_S if wait else 0.0)
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        self._try_at_s = now_s + pause_s

        if self._try_at_s > self._give_up_at_s:
            return False
        time.sleep(pause_s)
        return True

    @property
    def is_over(self) -> bool:
        """Whether the server is to be left alone for now."""
        return time.monotonic() < self._try_at_s


class Link(ClosedOnExit):
    """A connection to a server, made when it is first needed and whenever it was lost.

    Args:
        endpoint: where the server is.
        patience: shared by all links to it.
        expected: what the server must say of itself; None for anything.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        patience: Patience,
        expected: Mapping[str, Any] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._patience = patience
        self._expected = None if expected is None else pack(expected)
        self._stack = contextlib.ExitStack()
        self._connection: ClientConnection | None = None
        self._is_new = True  # nothing was answered yet on the present connection

    def ask(self, message_for: MessageFor) -> dict[str, Any] | None:
        """Returns the server's answer, or None if the server is lost.

        Args:
            message_for: returns what to ask, given whether the connection is new, so
                that the server knows nothing of what went before.

        Raises:
            EmbodiedError: it refuses, or what it says breaks the rules.
        """
        while True:
            if self._connection is None and self._patience.is_over:
                return None
            try:
                answer = self._ask_once(message_for)
            except Lost as error:
                self.close()
                is_hanging = isinstance(error.__cause__, TimeoutError)
                if not self._patience.failed(wait=not is_hanging):
                    return None
            except EmbodiedError:
                self.close()
                raise
            else:
                self._patience.succeeded()
                self._is_new = False
                return answer

    def connect(self) -> dict[str, Any]:
        """Connects; returns what the server says of itself.

        Raises:
            Lost: there is no server.
            EmbodiedError: it refuses, or says another thing than expected.
        """
        try:
            self._connection = self._opened()
            data = self._connection.recv(self._endpoint.timeout_s)
            first = unpack(data, self._endpoint.max_bytes)
        except EmbodiedError as error:
            self.close()
            raise MessageError(f"{self._endpoint.uri}: {error}") from error
        except Exception as error:
            self.close()
            raise _refusal(error, self._endpoint.uri) from error

        self._is_new = True
        if self._expected is not None and pack(first) != self._expected:
            self.close()
            raise EmbodiedError(
                f"the server at {self._endpoint.uri} serves something else than before"
            )
        return first

    def close(self) -> None:
        """Closes the connection, if there is one."""
        self._connection = None
        # it may be broken already, in any way
        with contextlib.suppress(Exception):
            self._stack.close()

    def _ask_once(self, message_for: MessageFor) -> dict[str, Any]:
        if self._connection is None:
            self.connect()
        connection = self._connection
        if connection is None:
            raise ValueError("a connection that was made is not there")
        data = pack(message_for(self._is_new))
        try:
            connection.send(data)
            answer = connection.recv(self._endpoint.timeout_s)
        except Exception as error:
            raise _refusal(error, self._endpoint.uri) from error

        uri = self._endpoint.uri
        if isinstance(answer, str):  # which is how openpi's servers tell of errors
            raise EmbodiedError(f"the server at {uri} failed: {_last_line(answer)}")
        try:
            return unpack(answer, self._endpoint.max_bytes)
        except MessageError as error:
            raise MessageError(f"{uri}: {error}") from error

    def _opened(self) -> ClientConnection:
        """Returns a new connection that closes with the stack."""
        headers = {}
        if self._endpoint.token:
            headers["Authorization"] = f"Api-Key {self._endpoint.token}"

        # every wait has a limit, and every message a largest size
        connection = self._stack.enter_context(
            websockets_client().connect(
                self._endpoint.uri,
                open_timeout=self._endpoint.timeout_s,
                close_timeout=CLOSE_TIMEOUT_S,
                max_size=self._endpoint.max_bytes,
                compression=None,
                additional_headers=headers,
                proxy=None,
                ping_interval=None,  # an answer in time is sign of life enough
            )
        )
        limit_sending(connection.socket, self._endpoint.timeout_s)
        return connection


def limit_sending(opened: socket.socket, timeout_s: float) -> None:
    """Lets sends fail that take too long, as the other side has ceased to read."""
    limit = struct.pack("ll", int(timeout_s), int(timeout_s % 1 * 1e6))
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def _refusal(error: Exception, uri: str) -> Exception:
    """Returns what an error of a connection means to who asked."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in REFUSALS:
        return EmbodiedError(
            f"the server at {uri} refuses ({status}): put its token into a file, and the "
            "file's name into the environment variable EMBODIED_TOKEN_FILE"
        )
    # what is larger than `max_size` was never read
    received = getattr(error, "sent", None)
    if received is not None and received.code == 1009:
        return MessageError(f"the server at {uri} sent more than is read of a message")
    if not isinstance(error, OSError | EOFError) and not _is_of_websockets(error):
        return error
    return Lost(one_line(error))


def _is_of_websockets(error: Exception) -> bool:
    return type(error).__module__.startswith("websockets.")


def _last_line(text: str) -> str:
    """Returns the last line of a text, which of a traceback is the error."""
    lines = text.strip().splitlines() or ["no reason given"]
    return lines[-1][:300]
