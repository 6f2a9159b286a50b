"""Stand-ins for other people's servers and clients, which speak openpi's wire by
themselves: nothing of `policies/remote` is used here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgpack
import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

Talk = Callable[[ServerConnection], None]
LOGGER = logging.getLogger("tests.remote_servers")
LOGGER.disabled = True


def to_bytes(value: Any) -> bytes:
    """Returns a message as openpi's own packer writes it."""

    def plain(item: Any) -> Any:
        if isinstance(item, np.ndarray):
            return {
                b"__ndarray__": True,
                b"data": item.tobytes(),
                b"dtype": item.dtype.str,
                b"shape": item.shape,
            }
        if isinstance(item, np.generic):
            name = item.dtype.str
            return {b"__npgeneric__": True, b"data": item.item(), b"dtype": name}
        return item

    return msgpack.packb(value, default=plain)


def from_bytes(data: bytes | str) -> Any:
    """Returns a message as openpi's own unpacker reads it."""

    def restored(found: Any) -> Any:
        if b"__ndarray__" in found:
            dtype = np.dtype(found[b"dtype"])
            return np.ndarray(found[b"shape"], dtype, found[b"data"])
        return found

    return msgpack.unpackb(data, object_hook=restored)


@contextmanager
def serving(talk: Talk, port: int = 0) -> Iterator[int]:
    """Runs a server that says to each client what `talk` does; gives its port."""

    def quietly(connection: ServerConnection) -> None:
        try:
            talk(connection)
        except (ConnectionClosed, OSError):
            return

    with serve(quietly, "127.0.0.1", port, compression=None, logger=LOGGER) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


def pi0_like(steps: int, size: int, seen: list[Any] | None = None) -> Talk:
    """Returns what a server of action chunks says, as openpi's do.

    Row k of the chunk that it gives holds k / steps in all elements.

    Args:
        steps: H.
        size: A.
        seen: gets the observations.
    """

    def talk(connection: ServerConnection) -> None:
        connection.send(to_bytes({"reset_pose": [0.0, 1.0]}))
        for data in connection:
            if seen is not None:
                seen.append(from_bytes(data))
            rows = np.arange(steps) / steps
            actions = np.repeat(rows[:, None], size, axis=1)
            timing = {"infer_ms": np.float64(1.5)}
            connection.send(to_bytes({"actions": actions, "server_timing": timing}))

    return talk


def answering(*answers: bytes | str, first: bytes | str = to_bytes({})) -> Talk:
    """Returns what a server says that gives these answers, whatever it is asked."""

    def talk(connection: ServerConnection) -> None:
        connection.send(first)
        for answer in answers:
            connection.recv()
            connection.send(answer)
        # waits for the client to go
        for _ in connection:
            continue

    return talk


def raw(data: bytes) -> Talk:
    """Returns what a server says that answers by these bytes, and then hangs up.

    They are of the connection itself: the beginning of a frame, for instance.
    """

    def talk(connection: ServerConnection) -> None:
        connection.send(to_bytes({}))
        connection.recv()
        connection.socket.sendall(data)
        connection.close_socket()

    return talk


def hanging(connection: ServerConnection) -> None:
    """Is a server that says what it is, and then nothing."""
    connection.send(to_bytes({}))
    for _ in connection:
        continue


@contextmanager
def client(port: int, **options: Any) -> Iterator[Any]:
    """Gives a bare connection to a server of ours."""
    options = {"compression": None, "proxy": None, "max_size": None, **options}
    with connect(f"ws://127.0.0.1:{port}", **options) as connection:
        yield connection
