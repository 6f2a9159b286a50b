"""The verbs that do the work, in small: what they write, what they refuse, and that no
figure depends on who works.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from embodied.benchmark import footage, throughput
from embodied.benchmark.results import Condition
from embodied.benchmark.results_file import read_results
from embodied.cli import main, view
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import DatasetError
from embodied.datasets.storage import part_files
from embodied.envs import worlds
from embodied.envs.registry import get_task
from embodied.envs.worlds import Worlds
from embodied.policies.training.budget import Budget
from embodied.policies.training.config import ImitationConfig
from embodied.policies.training.imitation import train_imitation

COMMAND = Path(sys.executable).parent / "embodied"
TASK = "ToteTransfer"
# seed 14 is one of those kept for validation, so three episodes are enough to train on
FIRST = 13
QUICKLY = ("--workers", "1", "--num-envs", "4")


@pytest.fixture(scope="module", autouse=True)
def few_threads() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        # software rendering: else each process takes all cores
        patch.setenv("LP_NUM_THREADS", "1")
        yield


def embodied(*words: object) -> int:
    return main.main([str(word) for word in words])


def collect(path: Path, *words: object, episodes: int = 3) -> int:
    return embodied(
        *(
            "collect",
            TASK,
            "-o",
            path,
            "--level",
            "L1",
            "--seed",
            FIRST,
            "--episodes",
            episodes,
            *(words or QUICKLY),
        )
    )


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    assert embodied(*words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three episodes without pictures."""
    path = tmp_path_factory.mktemp("plain") / "plain.hdf5"
    assert collect(path, "--no-cameras", *QUICKLY) == 0
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with pictures, and disturbed."""
    path = tmp_path_factory.mktemp("pictures") / "pictures.hdf5"
    assert (
        collect(path, "--record-hz", 8, "--image-size", 96, "--noise", 0.05, *QUICKLY)
        == 0
    )
    return path


@pytest.fixture(scope="module")
def trained(pictures: Path) -> Path:
    run = pictures.parent / "trained"
    assert embodied("train", pictures, "-o", run, "--steps", 2) == 0
    return run


def test_collect_says_what_is_there(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Dataset(plain) as dataset:
        assert [episode.seed for episode in dataset.episodes] == [13, 14, 15]
        assert all(episode.success for episode in dataset.episodes)
        assert dataset.header.planner_hz == 8
        assert not [key for key in dataset.keys(0) if key.endswith("_image")]
    assert (
        collect(tmp_path / "x.hdf5", "--no-cameras", "--json", *QUICKLY, episodes=1)
        == 0
    )
    output = capsys.readouterr()
    said = json.loads(output.out)
    assert (said["episodes"], said["successes"], said["success"]["rate"]) == (1, 1, 1.0)
    assert said["speed"] > 0
    assert output.err == ""


def test_collect_records_pictures(pictures: Path) -> None:
    with Dataset(pictures) as dataset:
        frames = dataset.read(0, "obs/overview_image")
        assert frames.shape == (dataset.episodes[0].num_samples, 96, 96, 3)
        assert frames.std() > 10
        assert dataset.header.policy == "expert, action noise 0.05"
        assert (
            dataset.header.metadata["config"]["camera_hz"]
            == dataset.header.record_hz
            == 8
        )


@pytest.mark.parametrize(
    "shares", [("--workers", 1, "--num-envs", 1), ("--workers", 2, "--num-envs", 16)]
)
def test_a_dataset_does_not_depend_on_who_collects_it(
    plain: Path, tmp_path: Path, shares: tuple[object, ...]
) -> None:
    assert collect(tmp_path / "again.hdf5", "--no-cameras", *shares) == 0
    assert (tmp_path / "again.hdf5").read_bytes() == plain.read_bytes()


def test_collect_refuses_resumes_and_overwrites(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "some.hdf5"
    words = (
        "collect",
        TASK,
        "-o",
        path,
        "--level",
        "L1",
        "--seed",
        FIRST,
        "--no-cameras",
        *QUICKLY,
    )
    assert embodied(*words, "--episodes", 1) == 0
    assert f"{path} exists" in refused(capsys, *words, "--episodes", 3)
    assert "differ in ['config']" in refused(
        capsys, *words, "--resume", "--level", "L2"
    )
    assert embodied(*words, "--episodes", 3, "--resume") == 0
    assert path.read_bytes() == plain.read_bytes()
    assert embodied(*words, "--episodes", 1, "--overwrite") == 0
    with Dataset(path) as dataset:
        assert len(dataset) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("collect", "ToteTransfr"),
            "unknown task 'ToteTransfr'. Did you mean 'ToteTransfer'? Available:",
        ),
        (("collect", TASK, "--robot", "leg"), "unknown robot 'leg'. Available: arm"),
        (
            ("collect", TASK, "--camera", "font"),
            "unknown camera 'font'. Available: hall, overview, wrist",
        ),
        (("collect", TASK, "--level", "L5"), "unknown level 'L5'"),
        (("collect", TASK, "--split", "test"), "unknown split 'test'"),
        (
            ("collect", TASK, "--record-hz", 300),
            "--record-hz must be from 1 to the control rate of 200, not 300",
        ),
        (("collect", TASK, "--planner-hz", 0), "a rate must be above 0"),
        (("collect", TASK, "--episodes", 0), "--episodes must be at least 1"),
        (("collect", TASK, "--seed", -1), "--seed must be at least 0"),
        (
            ("collect", TASK, "--seed", 2**63 - 1),
            "--seed must be at least 0 and below 2**63",
        ),
        (("train", TASK), "ToteTransfer is a task: give --algo"),
        (("train", "nowhere.hdf5", "--seed", -1), "--seed must be at least 0"),
        (("collect", TASK, "--workers", 0), "the number of workers must be at least 1"),
        (
            ("collect", TASK, "--num-envs", 0),
            "the number of worlds at once must be at least 1",
        ),
        (("collect", TASK, "--noise", 2), "the action noise must be from 0 to 1"),
        (("eval", "Totes", "--policy", "expert"), "unknown task 'Totes'"),
        (
            ("eval", TASK, "--policy", "expret"),
            "unknown policy 'expret'. Did you mean 'expert'? Available: expert",
        ),
        (("eval", TASK, "--policy", "expert", "--level", "L0"), "unknown level 'L0'"),
        (("eval", TASK, "--policy", "expert", "--drop", 2), "drop is a probability"),
        (
            ("eval", TASK, "--policy", "expert", "--planner-hz", 0),
            "a rate must be above 0",
        ),
        (
            ("eval", TASK, "--policy", "hold", "--videos", -1),
            "--videos must be at least 0",
        ),
        (
            ("eval", TASK, "--policy", "expert", "--delay-ms", -1),
            "must be finite and at least 0",
        ),
        (("eval", TASK, "--policy", "."), "is not a run folder"),
        (("train", "nowhere.hdf5"), "no dataset at nowhere.hdf5"),
        (
            ("train", "a.hdf5", "--level", "L2", "--num-envs", 2),
            "only with --algo: --level, --num-envs (",
        ),
        (("train", "a.hdf5", "--engine", "warp"), "only with --algo: --engine ("),
        (("train", "."), "is a folder; a dataset is one HDF5 file"),
    ],
)
def test_wrong_words(
    words: tuple[object, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in refused(capsys, *words, "-o", "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("collect", TASK),
        ("eval", TASK, "--policy", "hold"),
        ("view", TASK),
        ("train", TASK, "--algo", "ppo"),
        ("demo",),
        ("gallery",),
        ("survey",),
        ("parity", "--device", "cpu"),
    ],
    ids=lambda words: words[0],
)
def test_places_that_cannot_be_written_to(
    words: tuple[object, ...], tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "file").write_text("")
    for place in (
        "/proc/out.mp4",
        tmp_path / "file" / "out.mp4",
        tmp_path / f"{'x' * 300}.mp4",
    ):
        assert f"nothing can be written to {place}" in refused(
            capsys, *words, "-o", place
        )
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def _heed_sigint() -> None:
    """A suite that itself runs in the background hands down a deaf ear for Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_keeps_what_is_whole_and_says_how_to_go_on(
    plain: Path, tmp_path: Path
) -> None:
    path = tmp_path / "cut.hdf5"
    words = [
        "collect",
        TASK,
        "-o",
        str(path),
        "--level",
        "L1",
        "--seed",
        str(FIRST),
        "--no-cameras",
    ]
    words += ["--workers", "2", "--num-envs", "1", "--episodes"]
    child = subprocess.Popen(
        [COMMAND, *words, "60"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_heed_sigint,  # noqa: PLW1509  (no threads of ours run here)
    )
    try:
        waited_until = time.monotonic() + 60
        while not part_files(path) and time.monotonic() < waited_until:
            time.sleep(0.02)
        os.killpg(child.pid, signal.SIGINT)  # to all its processes, as a terminal does
        _, error = child.communicate(timeout=20)
    finally:
        child.kill()
    assert child.returncode == 130
    assert "Traceback" not in error
    assert f"Go on with: embodied collect {TASK} -o {path}" in error
    assert error.rstrip().endswith("--episodes 60 --resume")
    with Dataset(path) as whole:
        assert 1 <= len(whole) < 60
        assert all(
            len(whole.episode(i).actions) == whole.episodes[i].num_samples
            for i in range(len(whole))
        )
    for part in part_files(path):
        # of the other process: these are not asked for below
        if int(part.stem.removeprefix("seed_")) >= FIRST + 3:
            part.unlink()
    assert embodied(*words, "3", "--resume") == 0
    assert path.read_bytes() == plain.read_bytes()


def episodes_of(folder: Path) -> list[Any]:
    return [cell.episodes for cell in read_results(folder / "results.json").cells]


def test_results_do_not_depend_on_who_measures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        "eval",
        TASK,
        "--policy",
        "expert",
        "random",
        "--delay-ms",
        0,
        300,
        "--drop",
        0.2,
        "--episodes",
        2,
    )
    words += ("--level", "L1")
    assert (
        embodied(*words, "-o", tmp_path / "one", "--workers", 1, "--num-envs", 1) == 0
    )
    assert (
        embodied(*words, "-o", tmp_path / "two", "--workers", 2, "--num-envs", 16) == 0
    )
    first = episodes_of(tmp_path / "one")
    second = episodes_of(tmp_path / "two")
    assert len(first) == 3  # random actions know no delay
    assert first == second
    assert [episode.index for episode in second[0]] == [0, 1]
    late = [cell[0].mean_plan_age_s for cell in first[:2]]
    assert late[1] == pytest.approx(late[0] + 0.3, abs=0.1)
    table = capsys.readouterr().out
    assert "expert against random, L1: +100 points (95% interval" in table
    assert "expert 300 ms late against expert 0 ms late" in table


def test_eval_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "eval"
    words = ("eval", TASK, "--episodes", 1, "-o", folder, *QUICKLY)
    assert embodied(*words, "--policy", "hold", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["cells"][0]["summary"]["success_at_end"]["rate"] == 0
    assert Path(said["report"]).read_text().startswith("<!doctype html>")
    assert "exists" in refused(capsys, *words, "--policy", "hold", "random")
    before = read_results(folder / "results.json").cells[0]

    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Worlds, "step", stop)
        assert embodied(*words, "--policy", "hold", "random", "--resume") == 130
    assert f"embodied eval {TASK} --episodes 1 -o {folder}" in capsys.readouterr().err
    assert read_results(folder / "results.json").cells == (before,)
    assert embodied(*words, "--policy", "hold", "random", "--resume") == 0
    after = read_results(folder / "results.json").cells
    assert [cell.condition.policy for cell in after] == ["hold", "random"]
    assert after[0] == before
    assert embodied(*words, "--policy", "random", "--overwrite") == 0
    assert len(read_results(folder / "results.json").cells) == 1


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes of 3 s, of policies that would need 20 s to fail; in this process only."""
    monkeypatch.setattr(
        worlds, "get_task", lambda name: replace(get_task(name), horizon_s=3.0)
    )


def test_a_trained_policy_can_be_evaluated(
    short: None, trained: Path, tmp_path: Path
) -> None:
    words = (
        "eval",
        TASK,
        "--policy",
        trained,
        "--episodes",
        3,
        "--level",
        "L2",
        "--workers",
        1,
    )
    assert embodied(*words, "-o", tmp_path / "one", "--num-envs", 1) == 0
    assert embodied(*words, "-o", tmp_path / "three", "--num-envs", 3) == 0
    assert episodes_of(tmp_path / "one") == episodes_of(tmp_path / "three")
    cell = read_results(tmp_path / "one" / "results.json").cells[0]
    assert (cell.label, cell.condition.planner_hz, cell.episodes[0].duration_s) == (
        "trained",
        8,
        3.0,
    )


def test_train_refuses_and_resumes(
    trained: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train", pictures, "-o", trained, "--steps", 2)
    assert f"{trained} exists" in refused(capsys, *words)
    weights = (trained / "policy.safetensors").read_bytes()
    assert embodied(*words, "--resume", "--json") == 0  # it is finished
    assert json.loads(capsys.readouterr().out)["steps"] == 2
    assert (trained / "policy.safetensors").read_bytes() == weights
    assert embodied(*words, "--resume") == 0
    assert f"{trained} is finished: left as it is" in capsys.readouterr().err


def test_train_resumes_only_what_it_began(
    trained: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.hdf5").write_bytes(pictures.read_bytes())
    said = refused(
        capsys,
        "train",
        tmp_path / "other.hdf5",
        "-o",
        trained,
        "--steps",
        2,
        "--resume",
    )
    assert "was trained with datasets pictures.hdf5, not other.hdf5" in said
    (tmp_path / "policy.json").write_text('{"schema_version": 1, "kind": "actor"}')
    said = refused(capsys, "train", pictures, "-o", tmp_path, "--steps", 2, "--resume")
    assert f"{tmp_path} was not trained by imitation" in said


def test_train_refuses_the_same_episodes_twice(
    pictures: Path, tmp_path: Path, capsys: Any
) -> None:
    words = ("-o", tmp_path / "run", "--steps", 1)
    assert f"{pictures} is given twice: both hold seed 13" in refused(
        capsys, "train", pictures, pictures, *words
    )
    copy = tmp_path / "copy.hdf5"
    shutil.copyfile(pictures, copy)
    assert f"{pictures} and {copy} overlap: both hold seed 13" in refused(
        capsys, "train", pictures, copy, *words
    )
    config = ImitationConfig((pictures, pictures), ("overview",), Budget())
    with pytest.raises(DatasetError, match="given twice"):
        train_imitation(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_train_refuses_datasets_that_do_not_fit_together(
    pictures: Path, tmp_path: Path, capsys: Any
) -> None:
    small = tmp_path / "small.hdf5"
    assert (
        collect(small, "--record-hz", 8, "--image-size", 48, "--seed", 40, *QUICKLY)
        == 0
    )
    said = refused(
        capsys, "train", pictures, small, "-o", tmp_path / "run", "--steps", 1
    )
    assert f"{small} differs from {pictures} in image_size: 48, not 96" in said


def test_train_says_that_a_collection_is_unfinished(
    tmp_path: Path, capsys: Any
) -> None:
    parts = tmp_path / "cut.hdf5.parts"
    parts.mkdir()
    for seed in (13, 14, 15):
        one = tmp_path / "one.hdf5"
        assert (
            collect(
                one,
                "--record-hz",
                8,
                "--overwrite",
                "--seed",
                seed,
                *QUICKLY,
                episodes=1,
            )
            == 0
        )
        one.rename(parts / f"seed_{seed}.hdf5")
    assert (
        embodied("train", tmp_path / "cut.hdf5", "-o", tmp_path / "run", "--steps", 1)
        == 0
    )
    said = f"{tmp_path / 'cut.hdf5'}: its collection is unfinished, learning from the 3 episodes that are whole"
    assert said in capsys.readouterr().err


def test_train_needs_pictures(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(
        capsys,
        "train",
        plain,
        "-o",
        tmp_path / "run",
        "--steps",
        1,
        "--camera",
        "overview",
    )
    assert "no pictures of cameras ['overview'], but of []" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("task", "Elsewhere", "was trained for task Elsewhere, not ToteTransfer"),
        ("robot", "leg", "was trained for robot leg, not arm"),
        (
            "agent_layout",
            [["joint_pos", 6]],
            'was trained for proprioception [["joint_pos", 6]], not [["joint_pos", 7]',
        ),
    ],
)
def test_a_run_of_something_else(
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    field: str,
    value: object,
    said: str,
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    info = json.loads((trained / "policy.json").read_text())
    (info if field in info else info["metadata"])[field] = value
    (run / "policy.json").write_text(json.dumps(info))
    assert said in refused(
        capsys, "eval", TASK, "--policy", run, "-o", tmp_path / "eval"
    )
    assert not (tmp_path / "eval").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "holds a list"),
        ('{"schema_version": 0}', "has schema version 0"),
        ('{"schema_version": 1}', "is damaged: KeyError 'spec'"),
        ('{"schema_version": 1, "kind": "actor", "spec": []}', "is damaged: TypeError"),
    ],
)
def test_a_damaged_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    (tmp_path / "policy.json").write_text(text)
    error = refused(capsys, "eval", TASK, "--policy", tmp_path, "-o", tmp_path / "eval")
    assert f"{tmp_path / 'policy.json'} {said}" in error


@pytest.fixture
def blank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures for people cost seconds; other tests look at real ones."""
    grey = {
        (h, w): np.full((h, w, 3), 128, np.uint8) for h, w in ((240, 320), (480, 640))
    }
    monkeypatch.setattr(Worlds, "render", lambda self, world, camera, size: grey[size])


def test_view_makes_a_video(
    blank: None,
    short: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for display in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(display, raising=False)
    words = ("view", TASK, "--policy", "hold", "--level", "L1")
    assert embodied(*words) == 0
    assert embodied(*words) == 0  # it is only to be looked at
    assert (
        "runs/view/ToteTransfer.mp4\nseed 0: no success after 3.0 s, "
        in capsys.readouterr().out
    )
    with av.open("runs/view/ToteTransfer.mp4") as video:
        assert video.duration / av.time_base == pytest.approx(4.5, abs=0.2)
    assert "exists" in refused(capsys, *words, "-o", "runs/view/ToteTransfer.mp4")
    for name in ("picture.png", "loop.gif", "video"):
        assert f"{name} must end in .mp4" in refused(capsys, *words, "-o", name)


def test_view_in_a_window(
    short: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[float] = []
    slept: list[float] = []
    window = SimpleNamespace(is_open=True, show=lambda: shown.append(sum(slept)))
    monkeypatch.setattr(view, "has_display", lambda: True)
    monkeypatch.setattr(view, "Window", lambda engine: window)
    monkeypatch.setattr(view.time, "sleep", slept.append)
    monkeypatch.setattr(view.time, "monotonic", lambda: sum(slept))
    assert (
        embodied("view", TASK, "--policy", "expert", "--level", "L1", "--episodes", 2)
        == 0
    )
    assert len(shown) == pytest.approx(2 * 3.0 * view.WINDOW_HZ, abs=2)
    assert shown[-1] == pytest.approx(2 * 3.0, abs=0.1)  # at real time
    assert "seed 1: no success after 3.0 s" in capsys.readouterr().out


def test_bench(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(throughput, "REPEATS", 1)
    monkeypatch.setattr(throughput, "RECORDINGS", 1)
    monkeypatch.setattr(throughput, "STEPS", {1: 2, 16: 2, 64: 2})
    assert embodied("bench", "--episodes", 1, "--json") == 0
    figures = {
        figure["name"]: figure
        for figure in json.loads(capsys.readouterr().out)["figures"]
    }
    assert figures["contacts at rest"]["median"] <= 30
    assert figures["env.step over physics at 20 Hz, 64 worlds"]["median"] > 1
    assert all(figure["median"] > 0 for figure in figures.values())


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ([3, 4], [7], "The first seeds that succeeded 3, 4 and that failed 7."),
        ([3], [], "The first seeds that succeeded 3. None of 50 failed."),
        ([], [7], "The first seeds that failed 7. None of 50 succeeded."),
    ],
)
def test_what_a_film_shows(good: list[int], bad: list[int], said: str) -> None:
    assert footage.seeds_sentence(good, bad, 50) == said


def test_a_film_says_under_which_condition_it_was_made() -> None:
    shown = Condition("expert", "L2", planner_hz=8, transport_ms=500, drop_rate=0.2)
    others = [replace(shown, transport_ms=ms) for ms in (0, 250, 100)]
    elsewhere = [
        replace(shown, level="L1", transport_ms=40),
        replace(shown, policy="trained", transport_ms=60),
    ]
    said = "Plans are 500 ms late, 20% of them lost"
    assert (
        footage.plans_sentence(shown, [*others, *elsewhere])
        == f"{said}; measured but not filmed: 0, 100, 250 ms."
    )
    assert (
        footage.plans_sentence(shown, others[:1])
        == f"{said}; measured but not filmed: 0 ms."
    )
    assert footage.plans_sentence(shown, elsewhere) == f"{said}."
    assert footage.plans_sentence(replace(shown, planner_hz=None), others) == ""
