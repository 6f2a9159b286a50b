"""Where a cluster is: what may be typed, and that nothing there is said soon."""

from __future__ import annotations

import importlib.util
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from embodied.errors import EmbodiedError
from embodied.rollout.cluster_address import (
    HTTP2_PREFACE,
    NO_SETTINGS,
    ClusterAddress,
    cluster_address,
    require_answer,
)
from embodied.rollout.on_ray import RayExecutor


@pytest.mark.parametrize(
    ("place", "host", "port"),
    [
        ("ray:10.0.0.1:6379", "10.0.0.1", 6379),
        ("ray:head.example:1", "head.example", 1),
        ("ray:[::1]:6379", "::1", 6379),
    ],
)
def test_places(place: str, host: str, port: int) -> None:
    address = cluster_address(place)
    assert address == ClusterAddress(host, port)
    assert f"ray:{address.text}" == place


def test_ray_alone_is_the_cluster_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert cluster_address("ray") is None
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert cluster_address("ray") == ClusterAddress("10.0.0.1", 6379)
    monkeypatch.setenv("RAY_ADDRESS", "http://10.0.0.1:8265")
    with pytest.raises(EmbodiedError, match="--on ray with RAY_ADDRESS must be"):
        cluster_address("ray")


@pytest.mark.parametrize(
    "place", ["", "slurm", "ray:", "ray:host", "ray::6379", "ray:h:x", "ray:h:70000"]
)
def test_no_places(place: str) -> None:
    with pytest.raises(EmbodiedError, match="must be ray, or ray:HOST:PORT"):
        cluster_address(place)


def test_ray_client_is_not_used() -> None:
    with pytest.raises(EmbodiedError, match="ray job submit"):
        cluster_address("ray://head:10001")


@contextmanager
def listening(answer: bytes | None) -> Iterator[ClusterAddress]:
    """A program that listens; None: it never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                if answer is not None:
                    connection.sendall(answer)
                # until the other side has had enough, or resets what it has not read
                with suppress(ConnectionResetError):
                    connection.recv(1000)

        thread = threading.Thread(target=serve)
        thread.start()
        yield ClusterAddress("127.0.0.1", server.getsockname()[1])
        thread.join()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "nothing came back in 0.2 s"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "another program"),
        (b"hello", "nothing came back"),
    ],
)
def test_what_is_no_cluster_is_told_in_time(answer: bytes | None, message: str) -> None:
    begun_s = time.monotonic()
    with listening(answer) as address, pytest.raises(EmbodiedError, match=message):
        require_answer(address, within_s=0.2)
    assert time.monotonic() - begun_s < 5


def test_a_closed_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = ClusterAddress("127.0.0.1", server.getsockname()[1])
    with pytest.raises(EmbodiedError, match="Connection refused.*ray start --head"):
        require_answer(address)


def test_a_grpc_server_answers() -> None:
    with listening(NO_SETTINGS) as address:
        require_answer(address)
    assert HTTP2_PREFACE.startswith(b"PRI * HTTP/2.0")


def test_without_the_package_it_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EmbodiedError, match=r"pip install 'embodied-ground\[ray\]'"):
        RayExecutor(None, 1)


def test_no_workers_are_refused() -> None:
    with pytest.raises(EmbodiedError, match="at least 1, not 0"):
        RayExecutor(None, 0)
