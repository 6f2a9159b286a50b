"""Our server: who is let in, what they are answered, and what they may get wrong."""

from __future__ import annotations

import contextlib
import http.client
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from embodied.core import Array, Observation, PolicySpec
from embodied.errors import EmbodiedError
from embodied.policies import policy_from_function
from embodied.policies.remote import server as server_module
from embodied.policies.remote.server import PolicyServer, is_loopback, read_token
from embodied.policies.remote.session import Served
from tests.acceptance import install, make_environment, run
from tests.commands import TASK, refused
from tests.remote_servers import client, from_bytes, to_bytes

TOKEN = "0123456789abcdef-secret"
LARGEST = 1_000_000  # bytes of a message


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with Served("expert_chunks", TASK) as policy:
        yield policy


@contextlib.contextmanager
def listening(served: Served, **options: Any) -> Iterator[PolicyServer]:
    with PolicyServer(served, port=0, max_bytes=LARGEST, **options) as one:
        thread = threading.Thread(target=one.serve_forever)
        thread.start()
        yield one
    thread.join()


@pytest.fixture(scope="module")
def port(served: Served) -> Iterator[int]:
    with listening(served) as one:
        yield one.port


def sound(served: Served, **others: Any) -> dict[str, Any]:
    """Returns what a client of openpi sends."""
    message = {
        "prompt": "put the tote away",
        "observation/state": np.zeros(served.agent_size),
        "observation/environment_state": np.zeros(served.state_size),
    }
    return {
        key: value for key, value in {**message, **others}.items() if value is not None
    }


def test_any_client_gets_chunks(served: Served, port: int) -> None:
    with client(port) as connection:
        first = from_bytes(connection.recv())
        assert first["spec"]["control_mode"] == "ee_delta"
        for _ in range(3):
            connection.send(to_bytes(sound(served, more="ignored")))
            actions = from_bytes(connection.recv())["actions"]
            assert actions.shape == (50, 7)
            assert np.isfinite(actions).all()


def test_clients_do_not_notice_each_other(served: Served, port: int) -> None:
    with client(port) as one, client(port) as other:
        for connection in (one, other):
            connection.recv()
        # the first is in the midst of a message when the second breaks the rules
        other.send(b"garbage")
        assert "no msgpack" in other.recv()
        one.send(to_bytes(sound(served)))
        assert "actions" in from_bytes(one.recv())


MISTAKES: dict[str, tuple[Callable[[Served], Any], str]] = {
    "garbage": (lambda served: b"\xc1", "is no msgpack"),
    "a text": (lambda served: "hello", "expected a binary message"),
    "nothing": (lambda served: to_bytes({}), "observation/state must be an array"),
    "a short state": (
        lambda served: to_bytes(sound(served, **{"observation/state": np.zeros(2)})),
        r"of shape \(2,\)",
    ),
    "no privileged state": (
        lambda served: to_bytes(
            sound(served, **{"observation/environment_state": None})
        ),
        "environment_state must be an array",
    ),
    "a number as prompt": (
        lambda served: to_bytes(sound(served, prompt=3)),
        "prompt must be a text",
    ),
    "a book as prompt": (
        lambda served: to_bytes(sound(served, prompt="a" * 2000)),
        "up to 1000 letters",
    ),
    "a time before the start": (
        lambda served: to_bytes(sound(served, **{"embodied/tick": -1})),
        "must be a whole number",
    ),
    "no numbers": (
        lambda served: to_bytes(
            sound(served, **{"observation/state": np.full(served.agent_size, np.nan)})
        ),
        "must be finite",
    ),
}


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize(("make", "reason"), MISTAKES.values(), ids=MISTAKES)
def test_a_clients_mistake_is_told_and_ends_its_connection(
    make: Any, reason: str, served: Served, port: int
) -> None:
    with client(port) as connection:
        connection.recv()
        connection.send(make(served))
        told = connection.recv()
        # as openpi's servers do: a text, and the code of an error
        assert isinstance(told, str)
        assert re.search(reason, told)
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv()
        assert closed.value.rcvd.code == 1011


def test_too_much_is_not_read(port: int) -> None:
    with client(port) as connection:
        connection.recv()
        with contextlib.suppress(ConnectionClosed):
            connection.send(b"\0" * (2 * LARGEST))
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv()
        assert closed.value.rcvd.code == 1009


def test_who_leaves_in_mid_message_harms_nobody(served: Served, port: int) -> None:
    with client(port) as connection:
        connection.recv()
        connection.socket.sendall(b"\x82\xff" + (9999).to_bytes(8, "big") + b"abc")
        connection.close_socket()
    with client(port) as connection:
        connection.recv()
        connection.send(to_bytes(sound(served)))
        assert "actions" in from_bytes(connection.recv())


@pytest.mark.parametrize("origin", ["http://127.0.0.1", "https://evil.example", "null"])
def test_pages_of_a_browser_are_refused(origin: str, port: int) -> None:
    with pytest.raises(InvalidStatus) as error, client(port, origin=origin):
        pass
    assert error.value.response.status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Api-Key wrong"}, 401),
        ({"Authorization": TOKEN}, 401),
        ({"Authorization": f"Api-Key {TOKEN}\u00e9".encode().decode("latin1")}, 401),
        ({"Authorization": f"Api-Key {TOKEN}"}, None),
    ],
)
def test_a_token_is_asked_for(
    headers: dict[str, str], status: int | None, served: Served
) -> None:
    with listening(served, token=TOKEN) as one:
        found = None
        try:
            with client(one.port, additional_headers=headers) as connection:
                connection.recv()
        except InvalidStatus as error:
            found = error.response.status_code
        assert found == status


def test_health_can_be_asked_for(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"OK\n")
    connection.close()


def test_there_is_room_for_so_many(
    served: Served, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MAX_CLIENTS", 1)
    with client(port) as connection:
        connection.recv()
        with pytest.raises(InvalidStatus) as error, client(port):
            pass
        assert error.value.response.status_code == 503


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "example.org"])
def test_elsewhere_a_token_is_needed(host: str, served: Served) -> None:
    assert not is_loopback(host)
    with pytest.raises(EmbodiedError, match="give --token-file FILE"):
        PolicyServer(served, host=host, port=0)


def test_loopback_addresses() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.8.8.8", "::1"]))


@pytest.mark.parametrize(
    "content", [b"", b"short", b"two words of a secret", b"\xff" * 30]
)
def test_a_secret_must_be_one(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(EmbodiedError, match=f"the token file {path}"):
        read_token(path)
    with pytest.raises(EmbodiedError, match="cannot be read"):
        read_token(tmp_path / "none")
    path.write_text(TOKEN + "\n")
    assert read_token(path) == TOKEN


def failing(observation: Observation, signals: dict[str, Array]) -> Array:
    raise ZeroDivisionError("no luck")


FAILING = policy_from_function(failing, PolicySpec(control_mode="ee_delta"))


def test_a_policy_that_raises_is_told() -> None:
    name = "tests.test_remote_server:FAILING"
    with Served(name, TASK) as broken, listening(broken) as one:
        message = sound(broken, **{"observation/environment_state": None})
        with client(one.port) as connection:
            connection.recv()
            connection.send(to_bytes(message))
            assert "ZeroDivisionError: no luck" in connection.recv()


REFUSED: dict[tuple[str, ...], str] = {
    ("expert",): "say which, by --task TASK",
    ("expertt", "--task", TASK): "unknown policy",
    ("expert", "--task", "Totes"): "unknown task",
    ("expert", "--task", TASK, "--host", "0.0.0.0"): "give --token-file FILE",
    ("expert", "--task", TASK, "--port", "70000"): "--port must be from 0 to 65535",
    ("expert", "--task", TASK, "--max-mb", "0"): "--max-mb must be from 1 to 1024",
    ("expert", "--task", TASK, "--host", "no.such.host.invalid", "--token-file", "T"): (
        "cannot listen at"
    ),
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_the_verb_tells_mistakes(
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("T").write_text(TOKEN)
    assert REFUSED[words] in refused(capsys, "serve", *words)


def test_a_port_that_is_taken_is_told(
    port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(capsys, "serve", "hold", "--task", TASK, "--port", port)
    assert "choose another --port" in told


# Drives a server with openpi's own client, which is a package of its own.
OPENPI = """
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore", DeprecationWarning)
from openpi_client.websocket_client_policy import WebsocketClientPolicy

port, state, privileged, token = sys.argv[1:]
policy = WebsocketClientPolicy("127.0.0.1", int(port), api_key=token)
print(policy.get_server_metadata()["task"])
observation = {
    "prompt": "put the tote away",
    "observation/state": np.zeros(int(state)),
    "observation/environment_state": np.zeros(int(privileged), np.float32),
}
for _ in range(5):
    actions = policy.infer(observation)["actions"]
    policy.reset()
print(actions.shape, np.isfinite(actions).all())
try:
    policy.infer({"prompt": "put the tote away"})
except RuntimeError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.peers
@pytest.mark.parametrize("policy", ["expert_chunks", "expert", "random"])
def test_openpis_own_client_drives_our_policies(policy: str, tmp_path: Path) -> None:
    python = make_environment(tmp_path / "openpi")
    install(python, "--no-deps", "openpi-client==0.1.2")
    with Served(policy, TASK) as served, listening(served, token=TOKEN) as one:
        sizes = (str(served.agent_size), str(served.state_size))
        printed = run(python, "-c", OPENPI, str(one.port), *sizes, TOKEN)
    rows = 50 if policy == "expert_chunks" else 1
    size = 8 if policy == "random" else 7
    assert printed.splitlines() == [
        TASK,
        f"({rows}, {size}) True",
        "Error in inference server:",
        f"observation/state must be an array of shape ({sizes[0]},), not None",
    ]
