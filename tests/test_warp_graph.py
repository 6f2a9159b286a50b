"""A step on a device as a CUDA graph: what may not be in it, and when it is captured.
Only some of it needs a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from embodied.envs.config import EnvConfig
from embodied.envs.facts import PerState
from embodied.envs.warp import worlds as warp_worlds_module
from embodied.envs.warp.constants import DeviceConstants, solve_definite
from embodied.envs.warp.graph import StepGraph, Tensors, Work
from embodied.envs.warp.worlds import WarpWorlds
from embodied.robots.parts.part import CONTROL_MODES
from tests.ground import TOTE_TRANSFER, every_warp_pair
from tests.still_engine import StillEngine

CPU = torch.device("cpu")
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def take_away(thing: Any, known: dict[int, tuple[Any, Any]]) -> Any:
    """`thing` with all its tensors on torch's `meta` device: nothing of them can be
    read, as within a capture.
    """
    if id(thing) in known:
        return known[id(thing)][1]
    # Known before its parts, because they may lead back to it.
    known[id(thing)] = thing, thing

    if isinstance(thing, torch.Tensor | torch.device):
        known[id(thing)] = (
            thing,
            thing.to("meta")
            if isinstance(thing, torch.Tensor)
            else torch.device("meta"),
        )
    elif isinstance(thing, tuple | list):
        parts = [take_away(part, known) for part in thing]
        # named tuples take their parts one by one
        is_named = hasattr(thing, "_fields")
        known[id(thing)] = (
            thing,
            type(thing)(*parts) if is_named else type(thing)(parts),
        )
    elif isinstance(thing, dict):
        thing.update({name: take_away(part, known) for name, part in thing.items()})
    elif type(thing).__module__.startswith(("embodied", "tests")):
        for name, part in vars(thing).items():
            object.__setattr__(thing, name, take_away(part, known))
    return known[id(thing)][1]


class NothingFromTheHost(TorchFunctionMode):
    """Fails where the host's lists, arrays or numbers become tensors."""

    asking = (
        torch.Tensor.item,
        torch.Tensor.tolist,
        torch.Tensor.cpu,
        torch.Tensor.numpy,
        torch.Tensor.__array__,
    )
    making = (torch.asarray, torch.as_tensor, torch.tensor, torch.from_numpy)
    indexing = (torch.Tensor.__getitem__, torch.Tensor.__setitem__)

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        assert func not in self.asking, f"{func} asks the device"
        assert func not in self.making or isinstance(args[0], torch.Tensor), (
            f"{func} of {args[0]} copies to the device"
        )

        # An index that is a list or an array is copied to the device first.
        if func in self.indexing:
            parts = args[1] if isinstance(args[1], tuple) else (args[1],)
            assert not any(isinstance(p, list | np.ndarray) for p in parts), (
                f"{parts} is copied to the device"
            )

        return func(*args, **(kwargs or {}))


class NothingOfTheHost(TorchDispatchMode):
    """Fails where an operation waits for the device, or mixes its tensors with the
    host's.
    """

    waits = (
        "_local_scalar_dense",
        "nonzero",
        "_linalg_check_errors",
        "lift_fresh",
        "masked_select",
        "unique",
        "equal",
    )

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        name = func.overloadpacket.__name__
        assert name not in self.waits, f"{func} waits for the device"
        devices = {
            leaf.device.type
            for leaf in tree_leaves((args, kwargs))
            if isinstance(leaf, torch.Tensor)
        }
        assert devices <= {"meta"}, f"{func} of tensors on {devices}"
        return func(*args, **(kwargs or {}))


def still_worlds(task: str, robot: str, mode: str) -> WarpWorlds:
    """Worlds of which everything but physics is there, once `WarpEngine` stands still."""
    config = EnvConfig(
        task,
        robot=robot,
        control_mode=mode,
        level="L4",
        engine="warp",
        device="cpu",
    )
    return WarpWorlds(config, 2, 2, "cpu")


@pytest.fixture
def make_worlds_on_meta(monkeypatch: pytest.MonkeyPatch) -> Callable[..., WarpWorlds]:
    monkeypatch.setattr(warp_worlds_module, "WarpEngine", StillEngine)

    def make(task: str, robot: str, mode: str) -> WarpWorlds:
        # On torch's `meta` device nothing can be read, as within a capture.
        worlds: WarpWorlds = take_away(still_worlds(task, robot, mode), {})
        return worlds

    return make


@every_warp_pair
def test_a_step_asks_nothing_of_the_device_and_copies_nothing_to_it(
    make_worlds_on_meta: Callable[..., WarpWorlds], task: str, robot: str
) -> None:
    for mode in CONTROL_MODES if task == TOTE_TRANSFER else ("ee_delta",):
        worlds = make_worlds_on_meta(task, robot, mode)
        actions = torch.zeros((2, len(worlds.interface.low)), device="meta")
        worlds.reset()
        worlds.step(actions)  # where constants are copied, once
        with NothingFromTheHost(), NothingOfTheHost():
            result = worlds.step(actions)
        assert result.agent_pos.device.type == "meta"


def tensors_of(thing: Any, name: str, known: dict[int, Any]) -> dict[str, torch.Tensor]:
    """What `thing` and its parts hold, by where they hold it; not a graph's inputs and
    outputs, nor facts, which are computed anew whenever they are asked for.
    """
    if id(thing) in known or isinstance(thing, StepGraph | PerState):
        return {}
    known[id(thing)] = thing
    if isinstance(thing, torch.Tensor):
        return {name: thing}

    # Look into containers and objects of this package; no other object holds state.
    parts: dict[Any, Any] = {}
    if isinstance(thing, tuple | list):
        parts = dict(enumerate(thing))
    elif isinstance(thing, dict):
        parts = thing
    elif type(thing).__module__.startswith(("embodied", "tests")) and hasattr(
        thing, "__dict__"
    ):
        parts = vars(thing)
    return {
        place: tensor
        for key, part in parts.items()
        for place, tensor in tensors_of(part, f"{name}.{key}", known).items()
    }


@every_warp_pair
def test_a_step_writes_its_state_where_it_was(
    monkeypatch: pytest.MonkeyPatch, task: str, robot: str
) -> None:
    """A graph reads and writes the memory that it was captured with, whatever Python's
    names mean by then.
    """
    monkeypatch.setattr(warp_worlds_module, "WarpEngine", StillEngine)
    for mode in CONTROL_MODES if task == TOTE_TRANSFER else ("ee_delta",):
        worlds = still_worlds(task, robot, mode)
        worlds.reset()
        actions = torch.zeros((2, len(worlds.interface.low)))
        worlds.step(actions)

        before = tensors_of(worlds, "worlds", {})
        worlds.step(actions)
        after = tensors_of(worlds, "worlds", {})

        # A tensor that another one has taken the place of would be lost on a graph.
        assert len(before) > 20
        assert [
            name for name in before | after if before.get(name) is not after.get(name)
        ] == [], mode


def test_what_may_not_be_in_a_step_is_found() -> None:
    x = torch.zeros((2, 3), device="meta")
    for offence in (
        lambda: x[:, [0, 2]],
        lambda: torch.asarray([1.0, 2.0], device=x.device),
        lambda: x[:, np.array([0, 2])],
        lambda: torch.linalg.solve(x[:, :2], x[:, :1]),
        lambda: x * torch.ones(3),
    ):
        with pytest.raises(AssertionError), NothingFromTheHost(), NothingOfTheHost():
            offence()


def test_constants_are_copied_once_and_are_what_torch_makes_of_them() -> None:
    x = torch.arange(12.0).reshape(3, 4)
    table = np.array([[0, 2], [1, 3]])
    with DeviceConstants(CPU) as constants:
        for _ in range(2):
            assert torch.equal(x[:, [0, 2]], x[:, 0::2])
            assert x[..., table].shape == (3, 2, 2)
            assert torch.asarray([1.0, 2.0]).dtype is torch.float32
            assert torch.asarray([1, 2]).dtype is torch.int64
            assert torch.asarray([1, 2], dtype=torch.float64).dtype is torch.float64
            assert torch.asarray(np.zeros(2)).dtype is torch.float64
            x[:, [1, 3]] = 7.0

        # only those that are known may be in a captured step
        constants.sealed = True
        assert x[:, [1, 3]].eq(7).all()
        with pytest.raises(RuntimeError, match="captured step"):
            x[:, [0, 3]]


def test_definite_systems_are_solved() -> None:
    generator = torch.Generator().manual_seed(0)
    half = torch.randn((50, 6, 7), generator=generator)
    matrix = half @ half.mT + 0.01 * torch.eye(6)
    right = torch.randn((50, 6, 2), generator=generator)
    expected = torch.linalg.solve(matrix.double(), right.double())
    solution = solve_definite(matrix.double(), right.double())
    torch.testing.assert_close(solution, expected, rtol=1e-9, atol=1e-9)
    with DeviceConstants(CPU):
        torch.testing.assert_close(
            torch.linalg.solve(matrix.double(), right.double()), expected
        )


class Notes:
    """A recorder that notes what it is asked, and whose launches do the work into the
    captured tensors.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []

    def warm_up(self, work: Work) -> Tensors:
        self.calls.append("warm up")
        return work()

    def capture(self, work: Work) -> tuple[Callable[[], None], Tensors]:
        self.calls.append("capture")
        outputs = tuple(torch.zeros(2) for _ in range(2))

        def launch() -> None:
            self.calls.append("launch")
            for kept, new in zip(outputs, work(), strict=True):
                kept.copy_(new)

        return launch, outputs


def test_a_step_is_warmed_up_then_captured_then_launched() -> None:
    recorder = Notes()
    total = torch.zeros(2)

    def step(values: torch.Tensor) -> Tensors:
        total.add_(values)
        return total, values[[0, 1]]

    graph = StepGraph(step, (2,), CPU, recorder)
    outputs = [graph(torch.full((2,), float(k))) for k in range(1, 5)]
    assert recorder.calls == ["warm up", "capture", "launch", "launch", "launch"]
    assert graph.captured
    # of the caller's own
    assert [sums.tolist() for sums, _ in outputs] == [[1, 1], [3, 3], [6, 6], [10, 10]]
    assert [last.tolist() for _, last in outputs] == [[1, 1], [2, 2], [3, 3], [4, 4]]


class NoCapture(Notes):
    def capture(self, work: Work) -> tuple[Callable[[], None], Tensors]:
        raise Exception("operation not permitted when stream is capturing")


class NoLaunch(Notes):
    def capture(self, work: Work) -> tuple[Callable[[], None], Tensors]:
        def launch() -> None:
            raise RuntimeError("Graph creation error: out of memory")

        return launch, (torch.zeros(2),)


@pytest.mark.parametrize(
    ("recorder", "message"),
    [(NoCapture(), "operation not permitted"), (NoLaunch(), "Graph creation error")],
)
def test_where_a_step_cannot_be_captured_it_goes_on_and_says_so(
    recorder: Notes, message: str
) -> None:
    graph = StepGraph(lambda values: (values + 1,), (2,), CPU, recorder)
    graph(torch.zeros(2))
    with pytest.warns(RuntimeWarning, match=f"slow: {message}"):
        assert graph(torch.ones(2))[0].tolist() == [2, 2]
    assert not graph.captured
    assert graph(torch.zeros(2))[0].tolist() == [1, 1]


@cuda
@pytest.mark.slow
@every_warp_pair
def test_a_captured_step_is_the_step(task: str, robot: str) -> None:
    """Both are the same work on the same device: what differs is the order of sums in
    the physics.
    """
    config = EnvConfig(
        task, robot=robot, control_mode="ee_delta", level="L3", engine="warp"
    )
    captured, plain = (WarpWorlds(config, 16, 16) for _ in range(2))
    # Without its recorder, a graph's step runs as plain Python.
    plain._graph._recorder = None

    actions = (
        torch.rand(
            (20, 16, len(captured.interface.low)),
            generator=torch.Generator().manual_seed(0),
        )
        - 0.5
    )

    captured.reset()
    plain.reset()
    for action in actions * 0.3:
        result = captured.step(action.cuda())
        expected = plain.step(action.cuda())
        torch.testing.assert_close(
            result.final_agent_pos, expected.final_agent_pos, atol=1e-3, rtol=0
        )
        assert torch.equal(result.terminated, expected.terminated)

    assert captured.captured
    assert not plain.captured


@cuda
@pytest.mark.slow
def test_launching_waits_for_nothing() -> None:
    worlds = WarpWorlds(EnvConfig(TOTE_TRANSFER, engine="warp"), 16, 16)
    worlds.reset()
    actions = torch.zeros((16, len(worlds.interface.low)), device="cuda")
    for _ in range(3):
        worlds.step(actions)
    torch.cuda.set_sync_debug_mode("error")
    try:
        worlds.step(actions)
    finally:
        torch.cuda.set_sync_debug_mode("default")
