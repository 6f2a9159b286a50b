"""Messages that are broken at random, through both ends of the wire.

`python -m tests.fuzz_remote 0 100000` tries that many cases from a first one on, in this
process. A case may be refused by an `EmbodiedError`; anything else is a bug. The ends are
whole but for the socket: what a server reads goes through a session with a policy, what a
client reads becomes a plan or the description of a server.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from functools import cache
from types import SimpleNamespace
from typing import Any

import msgpack
import numpy as np

from embodied.core import PolicySpec
from embodied.errors import EmbodiedError
from embodied.plan import Payload, PlanShape
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.plans import check_payload
from embodied.policies.remote.client import Endpoint
from embodied.policies.remote.codec import unpack
from embodied.policies.remote.planner import RemotePlanner
from embodied.policies.remote.session import Session
from embodied.policies.remote.wire import Keys, ServerInfo
from tests.dual_chunks import ACTIONS, STEPS, chunk_system
from tests.remote_servers import to_bytes

SPEC = PolicySpec("joint_delta", 200, cameras=("front",), image_size=16)
SHAPE = PlanShape(effectors=0, chunk_steps=STEPS, chunk_actions=ACTIONS)
INFO = ServerInfo("plans", SPEC, 8.0, SHAPE)
CHUNKS = ServerInfo("actions", SPEC, 8.0, SHAPE)
SIDE = SPEC.image_size
LONGEST_S = 2.0  # of one case, on a busy machine


@cache
def served() -> Any:
    """Returns a policy that is served, without worlds."""
    system = chunk_system(lambda times_s, made_s: 0.1 * times_s, DualSystemConfig())
    return SimpleNamespace(
        info=INFO,
        spec=SPEC,
        agent_size=5,
        state_size=0,
        lock=threading.Lock(),
        make=lambda: system,
    )


def observation() -> dict[str, Any]:
    """Returns a sound observation."""
    return {
        "prompt": "put the tote away",
        "observation/state": np.arange(5.0),
        "observation/images/front": np.zeros((SIDE, SIDE, 3), np.uint8),
        "embodied/tick": 4,
        "embodied/pixels_tick": 2,
        "embodied/seed": 7,
    }


def answer() -> dict[str, Any]:
    """Returns a sound plan."""
    given = Payload.empty(1, SHAPE).given
    return {f"plan/{name}": value[0, ...] for name, value in given.items()}


SOUND = {
    "server": observation,
    "client": answer,
    "chunks": lambda: {"actions": np.zeros((STEPS, ACTIONS)), "timing": {"ms": 1.0}},
    "info": INFO.to_message,
}


def read(end: str, data: bytes) -> None:
    """Lets one end read a message, as it does one that a socket brings."""
    message = unpack(data)
    if end == "server":
        Session(served()).answer(message)
    elif end == "info":
        ServerInfo.from_message(message)
    else:
        info = INFO if end == "client" else CHUNKS
        planner = RemotePlanner(Endpoint("ws://nowhere"), info, Keys())
        plan = planner._plan_in_answer(message, Payload.empty(1, SHAPE))
        check_payload(plan, 1, SHAPE)


def broken(case: int) -> tuple[str, bytes]:
    """Returns an end and a message for it that is broken in one of several ways."""
    rng = np.random.default_rng(case)
    end = list(SOUND)[case % len(SOUND)]
    message = SOUND[end]()
    kind = rng.integers(6)
    if kind == 0:
        return end, rng.bytes(int(rng.integers(200)))
    if kind == 1:  # a value of another kind
        key = str(rng.choice(list(message)))
        message[key] = anything(rng, depth=0)
        return end, to_bytes(message)
    if kind == 2:  # an array that is not what it says
        return end, to_bytes({**message, str(rng.choice(list(message))): lie(rng)})

    data = bytearray(to_bytes(message))
    if kind == 3:
        return end, bytes(data[: int(rng.integers(len(data)))])
    # mostly near the start, where what is declared stands
    reach = int(rng.choice([60, 400, len(data)]))
    for place in rng.integers(min(reach, len(data)), size=int(rng.integers(1, 6))):
        data[place] = int(rng.integers(256))
    if kind == 4:
        data[int(rng.integers(len(data))) : 0] = rng.bytes(int(rng.integers(1, 20)))
    return end, bytes(data)


def anything(rng: np.random.Generator, depth: int) -> Any:
    """Returns a value of any kind that msgpack knows."""
    kind = int(rng.integers(12))
    if kind == 0 and depth < 12:
        return [anything(rng, depth + 1) for _ in range(2)]
    if kind == 1 and depth < 12:
        return {"a": anything(rng, depth + 1), "b": 1}
    values = [
        None,
        bool(rng.integers(2)),
        int(rng.integers(-(2**62), 2**62)),
        float(rng.choice([0.0, np.nan, np.inf, -1e300])),
        "x" * int(rng.integers(2000)),
        rng.bytes(int(rng.integers(50))),
        np.zeros(tuple(rng.integers(0, 4, size=int(rng.integers(0, 5))))),
        np.float32(rng.normal()),
        msgpack.ExtType(int(rng.integers(0, 100)), b"abc"),
        {1: 2},
    ]
    return values[int(rng.integers(len(values)))]


def lie(rng: np.random.Generator) -> dict[bytes, Any]:
    """Returns an array whose parts do not belong together."""
    dtypes = ["<f4", "<f8", "|O", "|V8", "<c16", "|S3", "x", 3, None, "<M8[s]", "|u1"]
    shapes = [[2, 3], [0], [2**62, 2**62], [-1], [1] * 40, "no", [2.5], [True], []]
    return {
        b"__ndarray__": True,
        b"data": rng.bytes(int(rng.choice([0, 8, 24]))),
        b"dtype": dtypes[int(rng.integers(len(dtypes)))],
        b"shape": shapes[int(rng.integers(len(shapes)))],
    }


def try_cases(begin: int, count: int) -> Counter[str]:
    """Tries cases; returns how many were refused and how many were read."""
    outcomes: Counter[str] = Counter()
    for case in range(begin, begin + count):
        end, data = broken(case)
        start_s = time.monotonic()
        try:
            read(end, data)
        except EmbodiedError as error:
            outcomes["in several lines" if "\n" in str(error) else "refused"] += 1
        except Exception as error:
            raise AssertionError(f"case {case}: {error!r}") from error
        else:
            outcomes["read"] += 1
        took_s = time.monotonic() - start_s
        assert took_s < LONGEST_S, f"case {case} took {took_s:.1f} s"
    return outcomes


if __name__ == "__main__":
    print(dict(try_cases(int(sys.argv[1]), int(sys.argv[2]))))
