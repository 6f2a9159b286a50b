"""What keeps worlds off a GPU is said in one line; buffers may be too small."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import mujoco
import numpy as np
import pytest
import torch
import warp

from embodied.envs.config import EnvConfig
from embodied.envs.warp import worlds as warp_worlds_module
from embodied.envs.warp.starts import measure_contact_peak
from embodied.envs.warp.worlds import WarpWorlds
from embodied.errors import EmbodiedError
from embodied.sim.engine import FAULTS
from embodied.sim.warp import device as warp_device
from embodied.sim.warp.device import (
    Streams,
    check_memory,
    choose_device,
    explaining_out_of_memory,
)
from embodied.sim.warp.engine import Buffers, WarpEngine
from tests.ground import TOTE_TRANSFER, started_worlds

BOX = """<mujoco><option timestep="0.0025"/><worldbody><geom type="plane" size="1 1 0.1"/>
  <body pos="0 0 {z}"><freejoint/><geom type="box" size=".1 .1 .1"/></body></worldbody></mujoco>"""


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warp_device, "has_driver", lambda: True)


def warp_with(
    driver: tuple[int, int] | None, built_for: tuple[int, int] | None = (12, 9)
) -> Any:
    """It sees a device where the driver is new enough, as Warp itself does."""
    return SimpleNamespace(
        config=SimpleNamespace(),
        init=lambda: None,
        is_cuda_available=lambda: bool(
            driver and built_for and driver >= (built_for[0], 0)
        ),
        get_cuda_driver_version=lambda: driver,
        get_cuda_toolkit_version=lambda: built_for,
    )


def test_no_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warp_device, "has_driver", lambda: False)
    with pytest.raises(
        EmbodiedError,
        match="no CUDA device: .* to try it without a GPU, slowly, use the device 'cpu'",
    ):
        choose_device(warp_with(None), "cuda")


def test_an_old_driver_is_named(driver: None) -> None:
    with pytest.raises(
        EmbodiedError,
        match=r"driver is for CUDA 12\.2, the engine 'warp' needs CUDA 12\.4 or newer",
    ):
        choose_device(warp_with((12, 2)), "cuda")

    with pytest.raises(
        EmbodiedError,
        match=r"driver is for CUDA 12\.8, the engine 'warp' needs CUDA 13\.0 or newer",
    ):
        choose_device(warp_with((12, 8), built_for=(13, 4)), "cuda")


def test_a_driver_without_a_gpu_and_a_warp_without_cuda_are_named(driver: None) -> None:
    with pytest.raises(
        EmbodiedError,
        match="no CUDA device: there is an NVIDIA driver, but it finds no GPU",
    ):
        choose_device(warp_with(None), "cuda")
    with pytest.raises(EmbodiedError, match="this build of Warp has no CUDA"):
        choose_device(warp_with((13, 0), built_for=None), "cuda")


def test_a_torch_without_cuda_is_named(
    driver: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(EmbodiedError, match="is built without CUDA"):
        choose_device(warp_with((13, 0)), "cuda")


def test_a_torch_that_cannot_use_the_gpu_is_named(
    driver: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: object, **kwargs: object) -> None:
        raise RuntimeError(
            "The NVIDIA driver on your system is too old (found version 12040).\nPlease update"
        )

    # A build of torch for a newer CUDA than the driver knows.
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch, "zeros", refused)
    with pytest.raises(
        EmbodiedError,
        match=r"cannot use the GPU that Warp sees: The NVIDIA driver .* 12040\)\.$",
    ):
        choose_device(warp_with((12, 4)), "cuda")


@dataclass(frozen=True)
class TorchStream:
    cuda_stream: int


class StreamsOfWarp:
    CaptureMode: Any = None
    ScopedCapture: Any = None

    def stream_from_torch(self, stream: TorchStream) -> list[int]:
        return [stream.cuda_stream]


def test_a_stream_that_torch_gives_out_again_is_the_one_that_warp_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Warp forgets a stream once any of its objects for that stream is thrown away.

    Earlier worlds throw theirs away.
    """
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: TorchStream(7))
    warp_ = StreamsOfWarp()
    assert Streams(warp_, "cuda:0").current() is Streams(warp_, "cuda:0").current()
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: TorchStream(8))
    assert Streams(warp_, "cuda:0").current() == [8]


def test_a_capture_is_of_torchs_stream_and_bears_what_is_no_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: TorchStream(9))
    captures: list[dict[str, Any]] = []
    fake = StreamsOfWarp()
    fake.CaptureMode = warp.CaptureMode
    fake.ScopedCapture = lambda **arguments: captures.append(arguments)
    streams = Streams(fake, "cuda:0")
    streams.capture()
    assert captures == [{"stream": [9], "capture_mode": warp.CaptureMode.RELAXED}]
    # Warp knows a capture by the object.
    assert captures[0]["stream"] is streams.current()


def test_too_little_memory_says_how_many_worlds_fit() -> None:
    check_memory(1000, 1_000_000, 1_000_000_000)
    with pytest.raises(
        EmbodiedError,
        match=r"8192 worlds need 8\.2 GB .* 4\.0 GB are free: 4000 worlds would fit",
    ):
        check_memory(8192, 1_000_000, 4_000_000_000)


@pytest.mark.parametrize(
    "message",
    ["Failed to allocate 7 bytes on device 'cuda:0'", "CUDA out of memory. Tried to"],
)
def test_memory_that_runs_out_later_is_named(message: str) -> None:
    expected = r"too small for 64 worlds: .* 0\.1 GB, .* e\.g\. 32"
    with (
        pytest.raises(EmbodiedError, match=expected),
        explaining_out_of_memory(64, 1_000_000),
    ):
        raise RuntimeError(message)

    # Other errors pass through.
    with (
        pytest.raises(RuntimeError, match="something else"),
        explaining_out_of_memory(64, 1),
    ):
        raise RuntimeError("something else")


def test_the_memory_of_a_world_is_measured() -> None:
    model = mujoco.MjModel.from_xml_string(BOX.format(z=1))
    small, large = (
        WarpEngine(model, 2, Buffers(2 * contacts, 64), {}, "cpu").bytes_per_world
        for contacts in (8, 16)
    )
    assert small > warp.types.type_size_in_bytes(warp.float32) * (model.nq + model.nv)
    assert large - small > 8 * 4 * (3 + 9)  # a contact's place and frame


def test_buffers_have_room_for_all_worlds_on_average_and_for_any_one_at_its_worst() -> (
    None
):
    assert Buffers.of(1, 10.0, 200, 600) == Buffers(1.5 * 200 + 32, 1.5 * 600 + 128)
    assert Buffers.of(1000, 10.0, 200, 600) == Buffers(
        1000 * (1.5 * 10 + 32), 1.5 * 600 + 128
    )


def test_what_the_engine_cannot_do_is_named_by_mujoco_warp() -> None:
    model = mujoco.MjModel.from_xml_string(BOX.format(z=1))
    model.opt.enableflags |= int(mujoco.mjtEnableBit.mjENBL_FWDINV)
    with pytest.raises(
        EmbodiedError,
        match="the engine 'warp' cannot run this model: mjENBL_FWDINV is unsupported",
    ):
        WarpEngine(model, 1, Buffers(8, 32), {}, "cpu")


@pytest.mark.slow
def test_a_buffer_that_overflows_is_named_and_the_other_worlds_go_on() -> None:
    model = mujoco.MjModel.from_xml_string(BOX.format(z=0.09))
    lying = np.array([0, 0, 0.09, 1, 0, 0, 0], np.float32)
    faults = {}
    for too_small, buffers in (
        ("constraints", Buffers(128, 4)),
        ("contacts", Buffers(2, 64)),
        ("", Buffers(128, 64)),
    ):
        engine = WarpEngine(model, 2, buffers, {}, "cpu")
        engine.view("qpos")[:] = torch.as_tensor(lying)
        engine.view("qpos")[1, 2] = 5.0  # in the air
        engine.refresh()
        engine.step(2)
        faults[too_small] = [FAULTS[k] for k in engine.faults().tolist()]
        engine.forget_faults(torch.tensor([True, True]))
        assert not engine.faults().any()

    assert faults == {
        "constraints": ["constraints_overflowed", ""],
        # one buffer for all: nobody knows whose are missing
        "contacts": ["contacts_overflowed"] * 2,
        "": ["", ""],
    }


@pytest.mark.slow
def test_faults_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warp_worlds_module, "PROBED", 2)
    config = EnvConfig(
        TOTE_TRANSFER, engine="warp", device="cpu", control_mode="ee_delta"
    )
    worlds = WarpWorlds(replace(config, control_hz=200), 2, 2, "cpu")
    worlds.reset()

    actions = torch.zeros((2, len(worlds.interface.low)))
    actions[1, 0] = torch.nan
    for _ in range(3):
        worlds.step(actions)

    # a world that diverges is counted under another name
    worlds.engine.view("qvel")[0, 0] = torch.inf
    worlds.step(torch.zeros_like(actions))
    assert worlds.fault_counts() == {"action_not_finite": 3, "diverged": 1}
    worlds.step(torch.zeros_like(actions))

    assert sum(worlds.fault_counts().values()) == 4


def test_contacts_are_counted_in_worlds_as_they_begin_and_move() -> None:
    """In a world that was never begun all things lie in one heap."""
    peak = measure_contact_peak(started_worlds(4, level="L3"))
    assert 4 <= peak.mean_contacts <= peak.contacts < 80
    assert peak.contacts < peak.constraints < 300


def test_a_process_that_was_forked_after_cuda_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(warp_device, "has_driver", lambda: True)
    monkeypatch.setattr(warp_device, "_process_of_cuda", lambda: os.getpid() - 1)
    with pytest.raises(EmbodiedError, match="forked from one that used it.*spawn"):
        choose_device(SimpleNamespace(config=SimpleNamespace()), "cuda")
