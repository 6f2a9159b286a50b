"""Episodes that are recorded where the dataset's folder is not shared come as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from embodied.closing import ClosedOnExit
from embodied.datasets.shipping import MARK_FILE, ShippedFile, Shipping, receiving
from embodied.datasets.storage import parts_folder
from embodied.envs.config import EnvConfig
from embodied.policies.collection import Recording, collect, collection_header
from embodied.policies.episodes import EpisodeRunner
from embodied.rollout.shards import Report, Workers, quiet_stage


class Elsewhere(ClosedOnExit):
    """An executor on another machine, which sees this one's folders or does not."""

    count = 1
    shares_files = False

    def __init__(self, sees: bool) -> None:
        self._sees = sees
        self.shipped: list[str] = []

    def run(
        self,
        work: Any,
        seeds: Sequence[int],
        on_report: Report = lambda item: None,
        at_once: int | None = None,
    ) -> list[Any]:
        assert isinstance(work, Shipping)
        if not self._sees:
            work = replace(work, mark="of a folder of the same name")

        def watch(item: Any) -> None:
            if isinstance(item, ShippedFile):
                self.shipped.append(item.name)
            on_report(item)

        return list(work(seeds, watch))

    def close(self) -> None:
        """Does nothing."""


def test_the_file_is_the_same_wherever_episodes_are_recorded(tmp_path: Path) -> None:
    runner = EpisodeRunner(
        "random", EnvConfig("ToteTransfer", num_threads=1, horizon_s=1.0)
    )
    header = collection_header(runner, 20)
    executors = {
        "here": Workers(1),
        "shared": Elsewhere(sees=True),
        "apart": Elsewhere(sees=False),
    }
    for name, executor in executors.items():
        recording = Recording(runner, tmp_path / name / "set.hdf5", header)
        collect(recording, range(3), "new", executor, quiet_stage)

    contents = {(tmp_path / name / "set.hdf5").read_bytes() for name in executors}
    assert len(contents) == 1
    assert executors["shared"].shipped == []
    assert sorted(executors["apart"].shipped) == [f"seed_{k}.hdf5" for k in range(3)]
    # neither marks nor parts are left
    assert all(len(list((tmp_path / name).iterdir())) == 1 for name in executors)


def test_a_shipped_name_stays_in_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "set.hdf5"
    parts_folder(path).mkdir()
    others: list[Any] = []
    receive = receiving(path, others.append)
    receive(ShippedFile("../../escaped", b"1"))
    receive("a result")
    assert others == ["a result"]
    assert [file.name for file in parts_folder(path).iterdir()] == ["escaped"]
    assert MARK_FILE.startswith(".")
