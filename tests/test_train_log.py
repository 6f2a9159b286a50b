"""Where the figures of a training go: TensorBoard, and trackers that stand-ins play."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from embodied.cli.main import main
from embodied.cli.train_log import TRACKERS, training_log

ROWS = [
    {"share": 0.5, "seconds": 1.0, "steps": 10.0, "train_loss": 3.0},
    {"share": 1.0, "seconds": 2.0, "steps": 20.0, "train_loss": 2.0},
]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was called of a tracker's package; both have one interface."""
    calls: list[Any] = []
    for name in TRACKERS:
        module = ModuleType(name)
        module.__spec__ = sys.__spec__
        module.init = lambda **given: calls.append(("init", given))
        module.log = lambda row, step: calls.append(("log", row, step))
        module.finish = lambda: calls.append("finish")
        monkeypatch.setitem(sys.modules, name, module)
    return calls


@pytest.mark.parametrize("tracker", TRACKERS)
def test_rows_are_sent_to_a_tracker_which_is_told_of_the_end(
    tmp_path: Path, calls: list[Any], tracker: str
) -> None:
    def train() -> None:
        with training_log(tmp_path / "totes", tracker, False, quiet=True) as log:
            log(ROWS[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    figures = {"share": 0.5, "seconds": 1.0, "train_loss": 3.0}
    assert calls == [
        ("init", {"project": "embodied-ground", "name": "totes"}),
        ("log", figures, 10),
        "finish",
    ]


def events_of(folder: Path) -> list[tuple[int, float]]:
    """The steps and values of the training loss, as TensorBoard reads them."""
    reading = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="TensorBoard is not installed",
    )
    events = reading.EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars("train_loss")]


def test_tensorboard_reads_the_events_of_all_sittings(tmp_path: Path) -> None:
    for resume, row in ((False, ROWS[0]), (True, ROWS[1])):
        with training_log(tmp_path, None, resume, quiet=True) as log:
            log(row)
    assert events_of(tmp_path) == [(10, 3.0), (20, 2.0)]

    # another run in the same folder
    with training_log(tmp_path, None, False, quiet=True) as log:
        log(ROWS[1])
    assert events_of(tmp_path) == [(20, 2.0)]


def test_a_training_without_rows_writes_nothing(tmp_path: Path) -> None:
    with training_log(tmp_path, None, False, quiet=True):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("tracker", "message"),
    [
        ("wandb", "needs the package wandb, which is not installed: pip install"),
        ("mlflow", "--log must be wandb or trackio, not 'mlflow'"),
    ],
)
def test_what_cannot_be_logged_is_told_before_anything_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tracker: str,
    message: str,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    run = tmp_path / "run"
    assert main(["train", "a.hdf5", "-o", str(run), "--log", tracker]) == 2
    assert message in capsys.readouterr().err
    assert not run.exists()
