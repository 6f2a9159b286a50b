"""A Ray cluster on this machine gives what one process gives, also when a node dies."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from embodied.benchmark.evaluation import Playing
from embodied.cli.main import main
from embodied.errors import EmbodiedError
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.registry import find_policy
from embodied.rollout import on_ray
from embodied.rollout.cluster_address import cluster_address
from embodied.rollout.on_ray import RayExecutor
from embodied.rollout.shards import Workers
from tests.shards_work import FailAt, count_slowly

ray = pytest.importorskip("ray", reason="Ray is not installed: the extra `ray` has it")
cluster_utils = pytest.importorskip("ray.cluster_utils")

ROOT = Path(__file__).parent.parent
NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
pytestmark = [
    pytest.mark.slow,
    # Ray leaves pipes and files of its processes to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Nodes:
    """A cluster whose second node can be killed."""

    def __init__(self) -> None:
        head = {**NODE, "include_dashboard": False}
        self._cluster = cluster_utils.Cluster(True, head_node_args=head)
        self.place = f"ray:{self._cluster.address}"
        self.second: Any = None

    def have_two(self) -> str:
        """Adds the second node where it is missing; returns its id."""
        if self.second is None:
            self.second = self._cluster.add_node(**NODE)
            self._cluster.wait_for_nodes()
        return str(self.second.node_id)

    def kill_second(self) -> None:
        self._cluster.remove_node(self.second, allow_graceful=False)
        self.second = None

    def executor(self, count: int | None = None) -> RayExecutor:
        return RayExecutor(cluster_address(self.place), count)

    def close(self) -> None:
        ray.shutdown()
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("ray")
    settings = {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
        "RAY_USAGE_STATS_ENABLED": "0",
        # the nodes' processes find the work of these tests
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.syspath_prepend(ROOT)
        nodes = Nodes()
        yield nodes
        nodes.close()


def test_results_equal_those_of_one_process_though_a_node_dies(
    nodes: Nodes,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    spec = find_policy("expert").spec("ToteTransfer", None)
    config = env_config_for(spec, "ToteTransfer", "L2", "train")
    runner = EpisodeRunner("expert", config, num_envs=2)
    seeds = range(100, 112)
    alone = Workers(1).run(Playing(runner), seeds)

    nodes.have_two()
    reported: list[int] = []

    def report(result: Any) -> None:
        reported.append(result.seed)
        if len(reported) == 2:
            nodes.kill_second()

    with nodes.executor() as executor:
        assert executor.count == 2
        shared = executor.run(Playing(runner), seeds, report, at_once=1)

        # Ray takes some seconds to strike off the cores of a dead node, and to report it
        patience_s = 20.0
        while (executor.count == 2 or not caplog.messages) and patience_s > 0:
            time.sleep(0.5)
            patience_s -= 0.5
        assert executor.count == 1

    # a warning, and nothing on stdout, where JSON may go
    assert caplog.messages
    assert all(message.startswith("Ray: ") for message in caplog.messages)
    assert max(map(len, caplog.messages)) < 300
    assert capsys.readouterr().out == ""
    assert [dataclasses.replace(e, index=0) for e in shared] == [
        dataclasses.replace(e, index=0) for e in alone
    ]
    assert sorted(reported) == list(seeds)


def test_a_node_that_dies_loses_its_part_alone_and_one_that_joins_works(
    nodes: Nodes,
) -> None:
    second = nodes.have_two()
    reports: list[tuple[int, str]] = []
    killed: list[int] = []

    def report(item: tuple[int, str]) -> None:
        reports.append(item)
        if item[1] == second and not killed:
            killed.append(item[0])
            nodes.kill_second()
            nodes.have_two()

    with nodes.executor() as executor:
        seeds = list(range(16))
        assert executor.run(count_slowly, seeds, report, at_once=1) == seeds

    # each report came once, in its part's order, and some of them from a third node
    assert sorted(seed for seed, _ in reports) == seeds
    assert killed
    assert len({node for _, node in reports}) == 3


FAILURES = [
    ("refused", EmbodiedError, "^no such camera$"),
    ("full", EmbodiedError, "^No space left on device$"),
    ("bug", RuntimeError, r"(?s)seeds 4 to 7 failed.*in _fail.*one over nothing"),
    ("exit", EmbodiedError, "work on seeds 4 to 7, which it repeats"),
]


def test_a_failing_part_is_told_and_the_next_job_runs(nodes: Nodes) -> None:
    nodes.have_two()
    with nodes.executor(2) as executor:
        for failure, kind, message in FAILURES:
            with pytest.raises(kind, match=message):
                executor.run(FailAt(5, failure), range(8))
        assert executor.run(FailAt(99, "bug"), range(8)) == list(range(8))


def test_other_versions_on_a_node_are_refused(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {**on_ray.own_versions(), "mujoco": "3.16.0"}
    monkeypatch.setattr(on_ray, "own_versions", lambda: versions)
    with (
        nodes.executor() as executor,
        pytest.raises(EmbodiedError, match=r"mujoco 3\.17\.\d+ for 3\.16\.0: install"),
    ):
        executor.run(FailAt(99, "refused"), range(4))


def test_the_commands_give_the_files_of_one_process(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes.have_two()
    # relative paths begin here on the nodes, too
    monkeypatch.chdir(tmp_path)
    where = ["--on", nodes.place]
    measure = "eval ToteTransfer --policy expert --level L1 --episodes 4 --json"
    record = "collect ToteTransfer --level L1 --episodes 4 --no-cameras --json"
    ways = {
        "a": ["--workers", "1", "--num-envs", "2"],
        "b": [*where, "--num-envs", "2"],
    }
    for name, words in ways.items():
        assert main([*measure.split(), *words, "-o", name]) == 0
        assert main([*record.split(), *words, "-o", f"{name}.hdf5"]) == 0

    one, other = (json.loads(Path(n, "results.json").read_text()) for n in "ab")
    for results in (one, other):
        for cell in results["cells"]:
            cell["wall_s"] = 0
            cell["summary"]["wall_s"] = 0
            cell["summary"]["real_time_factor"] = 0
    assert one["cells"] == other["cells"]
    assert Path("a.hdf5").read_bytes() == Path("b.hdf5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a",
        "a.hdf5",
        "b",
        "b.hdf5",
    ]
