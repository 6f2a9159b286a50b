"""The client's side: a connection that is restored after losses, and has timeouts."""

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

TIMEOUT_S = 10.0  # the longest wait for a handshake, and for an answer
CLOSE_TIMEOUT_S = 1.0  # the longest wait for the server to confirm a close
PATIENCE_S = 5.0  # reconnecting may delay a plan by this; after that, plans are lost
FIRST_PAUSE_S = 0.1  # before the second attempt; each further pause is twice as long
LONGEST_PAUSE_S = 8.0
# A function that takes whether the connection is new, and returns the message to send.
MessageFor = Callable[[bool], Mapping[str, Any]]
REFUSALS = (401, 403)  # HTTP status codes after which trying again is pointless
TOO_LARGE = 1009  # WebSocket's code for closing after a message that is too large


@dataclass(frozen=True)
class Endpoint:
    """A server's address, and how to talk to it.

    Attributes:
        uri: the address, such as `ws://127.0.0.1:8000`.
        token: the secret that the server requires; "" for none.
        timeout_s: the longest wait for an answer.
        max_bytes: the largest message to read.
    """

    uri: str
    token: str = ""
    timeout_s: float = TIMEOUT_S
    max_bytes: int = MAX_BYTES


class Lost(Exception):  # noqa: N818  (no error: it is what networks do)
    """The server did not answer: the connection broke, or took too long."""


class Patience:
    """Decides when to try again after a failure. All links to a server share one instance.

    When the server is first lost, the caller waits for up to PATIENCE_S until it is back.
    After that, callers no longer wait, and the server is tried at growing intervals.
    """

    def __init__(self) -> None:
        """Begins as after an answer."""
        self._pause_s = FIRST_PAUSE_S
        self._next_attempt_s = 0.0  # on the clock `time.monotonic`
        # when callers no longer wait, on the same clock; None while the server answers
        self._give_up_at_s: float | None = None

    def succeeded(self) -> None:
        """Resets the intervals. It is called after each answer."""
        self._pause_s = FIRST_PAUSE_S
        self._next_attempt_s = 0.0
        self._give_up_at_s = None

    def failed(self, wait: bool) -> bool:
        """Pauses before the next attempt, or gives up for now. It is called after a failure.

        Args:
            wait: whether waiting makes sense. It does not for a server that hangs, since
                the caller has waited for it already.

        Returns:
            True after a pause, to try again now; False to give up for now.
        """
        now_s = time.monotonic()
        if self._give_up_at_s is None:
            self._give_up_at_s = now_s + (PATIENCE_S if wait else 0.0)
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        self._next_attempt_s = now_s + pause_s

        if self._next_attempt_s > self._give_up_at_s:
            return False
        time.sleep(pause_s)
        return True

    @property
    def is_pausing(self) -> bool:
        """Whether it is too early for the next attempt."""
        return time.monotonic() < self._next_attempt_s


class Link(ClosedOnExit):
    """A connection to a server, which is made when it is needed, and again after a loss.

    Args:
        endpoint: the server's address, and how to talk to it.
        patience: decides when to try again; all links to the server share it.
        expected: the first message that the server must send; None for any.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        patience: Patience,
        expected: Mapping[str, Any] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._patience = patience
        # as bytes, which can be compared even if a message holds arrays
        self._expected = None if expected is None else pack(expected)
        self._stack = contextlib.ExitStack()  # closes the connection
        self._connection: ClientConnection | None = None
        self._is_new = True  # no answer was received on the current connection yet

    def ask(self, message_for: MessageFor) -> dict[str, Any] | None:
        """Sends a message; returns the server's answer, or None if the server is lost.

        Args:
            message_for: a function that returns the message to send. Its argument is
                whether the connection is new, so that the server has no state of earlier
                messages.

        Raises:
            EmbodiedError: the server refuses, or violates the protocol.
        """
        while True:
            if self._connection is None and self._patience.is_pausing:
                return None

            try:
                answer = self._ask_once(message_for)
            except Lost as error:
                self.close()
                # the timeout of an answer has passed already, so there is no further wait
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
        """Connects; returns the server's first message.

        Raises:
            Lost: there is no server.
            EmbodiedError: the server refuses, or sends another message than expected.
        """
        try:
            self._connection = self._open()
            data = self._connection.recv(self._endpoint.timeout_s)
            first_message = unpack(data, self._endpoint.max_bytes)
        except EmbodiedError as error:
            self.close()
            raise MessageError(f"{self._endpoint.uri}: {error}") from error
        except Exception as error:
            self.close()
            raise _as_own_error(error, self._endpoint.uri) from error

        # a server that restarted with another policy must not continue this episode
        self._is_new = True
        if self._expected is not None and pack(first_message) != self._expected:
            self.close()
            raise EmbodiedError(
                f"the server at {self._endpoint.uri} serves something else than before"
            )
        return first_message

    def close(self) -> None:
        """Closes the connection, if there is one."""
        self._connection = None
        # closing a broken connection may raise anything
        with contextlib.suppress(Exception):
            self._stack.close()

    def _ask_once(self, message_for: MessageFor) -> dict[str, Any]:
        """Sends a message and returns the answer, in a single attempt.

        Raises:
            Lost: the connection failed, or the answer did not come in time.
            EmbodiedError: the server refuses, or violates the protocol.
        """
        if self._connection is None:
            self.connect()
        connection = self._connection
        if connection is None:  # impossible, but type checkers don't know it
            raise ValueError("a connection that was made is not there")
        data = pack(message_for(self._is_new))
        try:
            connection.send(data)
            answer = connection.recv(self._endpoint.timeout_s)
        except Exception as error:
            raise _as_own_error(error, self._endpoint.uri) from error

        # openpi's servers report errors as text
        uri = self._endpoint.uri
        if isinstance(answer, str):
            raise EmbodiedError(f"the server at {uri} failed: {_last_line(answer)}")
        try:
            return unpack(answer, self._endpoint.max_bytes)
        except MessageError as error:
            raise MessageError(f"{uri}: {error}") from error

    def _open(self) -> ClientConnection:
        """Returns a new connection, which `close` closes."""
        headers = {}
        if self._endpoint.token:
            headers["Authorization"] = f"Api-Key {self._endpoint.token}"

        # waits and messages have limits, because the server is not trusted
        connection = self._stack.enter_context(
            websockets_client().connect(
                self._endpoint.uri,
                open_timeout=self._endpoint.timeout_s,
                close_timeout=CLOSE_TIMEOUT_S,
                max_size=self._endpoint.max_bytes,
                compression=None,  # as in openpi
                additional_headers=headers,
                proxy=None,  # the environment's web proxy is not used
                ping_interval=None,  # the timeout of answers is enough
            )
        )
        limit_sending(connection.socket, self._endpoint.timeout_s)
        return connection


def limit_sending(opened: socket.socket, timeout_s: float) -> None:
    """Sets a timeout for sending, which blocks if the other side does not read."""
    # the system's `timeval`: two long integers, seconds and microseconds
    limit = struct.pack("ll", int(timeout_s), int(timeout_s % 1 * 1e6))
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def _as_own_error(error: Exception, uri: str) -> Exception:
    """Returns the error to raise in place of an error of the connection.

    It is an EmbodiedError if trying again is pointless, `Lost` for other errors of the
    network, and the given error if it has nothing to do with the network.

    Args:
        error: the error that was raised.
        uri: the address of the server, for the message.
    """
    # websockets' errors of a handshake have the HTTP response
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in REFUSALS:
        return EmbodiedError(
            f"the server at {uri} refuses ({status}): put its token into a file, and the "
            "file's name into the environment variable EMBODIED_TOKEN_FILE"
        )
    # this side has closed the connection, since a message was larger than `max_size`
    close_frame = getattr(error, "sent", None)
    if close_frame is not None and close_frame.code == TOO_LARGE:
        return MessageError(f"the server at {uri} sent more than is read of a message")
    from_websockets = type(error).__module__.startswith("websockets.")
    if not isinstance(error, OSError | EOFError) and not from_websockets:
        return error
    return Lost(one_line(error))


def _last_line(text: str) -> str:
    """Returns the last line of a text, which is the error if it is a traceback."""
    lines = text.strip().splitlines() or ["no reason given"]
    return lines[-1][:300]
