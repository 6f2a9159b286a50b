"""Measures data loaders for training, ours and those of peers, in windows per second.

All loaders read the same episodes in one run, each in one process: from memory, and from
the disk with the file in the system's page cache. Times are processor times, so that
other work on the machine disturbs them less. Between machines, only ratios within one run
can be compared.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from embodied.benchmark import peers
from embodied.benchmark.peers.timed_loading import windows_per_s
from embodied.benchmark.statistics import Median, median
from embodied.datasets.export.lerobot import export_lerobot
from embodied.datasets.export.lerobot_features import Pictures
from embodied.datasets.export.selection import ALL, Choice, Selection
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import RECORD_HZ
from embodied.datasets.windows import Window, WindowLoader, Windows
from embodied.envs.registry import get_task
from embodied.errors import EmbodiedError
from embodied.policies.collection import Recording, collect, collection_header
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.registry import find_policy
from embodied.rollout.shards import Workers, default_workers, quiet_stage

OWN = "embodied"  # the name of our loader
# What a window contains beside actions. A window has rows of the history, which end at the
# newest observation, and rows of the chunk's actions.
STATES = "states"  # states in the rows of the history
PICTURES = "pictures"  # states and pictures in the rows of the history
# States and pictures also in the rows of the actions, as robomimic reads them.
WHOLE = "pictures in all rows"
# Where windows are read from.
MEMORY = "memory"
DISK = "disk"

RECORDED_WORLDS = 16  # worlds that each process records at once
LONGEST_S = 800  # time limit of a peer's script
# Number of episodes that robomimic reads. They are few, because it caches about 160 MB
# for each episode with pictures.
PEER_EPISODES = 8
# "content source" of a `DataSpeed` of LeRobot -> how its export stores pictures
LEROBOT_SETS: dict[str, Pictures] = {
    f"{STATES} {DISK}": "none",
    f"{PICTURES} PNG": "image",
    f"{PICTURES} video": "video",
}


@dataclass(frozen=True)
class DataJob:
    """The task of every loader.

    Attributes:
        path: the path of the dataset.
        cameras: names of the cameras whose pictures are loaded.
        history: observations per window.
        chunk: actions per window.
        batch_size: windows per batch.
        repeats: how often each speed is measured.
        seconds: processor time of each measurement.
    """

    path: Path
    cameras: tuple[str, ...]
    history: int = 2
    chunk: int = 16
    batch_size: int = 64
    repeats: int = 5
    seconds: float = 0.5


@dataclass(frozen=True)
class DataSpeed:
    """The speed of one loader.

    Attributes:
        loader: the loader's package; for a peer with its version.
        content: STATES, PICTURES or WHOLE.
        source: MEMORY or DISK; for LeRobot's pictures "PNG" or "video", both on disk.
        speed: windows per second of processor time.
        ours_over_it: our median speed divided by this one; None for our own loader.
        ours_in_all_rows: the same for peers that read pictures in all rows, with ours
            reading as many (WHOLE); None for other peers.
    """

    loader: str
    content: str
    source: str
    speed: Median
    ours_over_it: float | None = None
    ours_in_all_rows: float | None = None


def record_for_loading(path: Path, episodes: int) -> None:
    """Records demonstrations of ToteTransfer with two cameras, at RECORD_HZ."""
    task = get_task("ToteTransfer")
    robot = task.default_robot
    spec = find_policy("expert").spec(task.name, robot)
    config = env_config_for(spec, task.name, "L2", split="train", robot=robot)

    # the task's first camera, which is static, and the one on the wrist
    cameras = (*task.cameras[:1], "wrist")
    config = replace(config, obs="both", cameras=cameras, camera_hz=RECORD_HZ)

    # as `embodied collect` records: moving goals are extrapolated between plans
    dual = DualSystemConfig(mailbox="predictive")
    runner = EpisodeRunner("expert", config, dual, RECORDED_WORLDS)
    header = collection_header(runner, record_hz=RECORD_HZ)

    with Workers(default_workers(episodes)) as workers:
        collect(
            Recording(runner, path, header),
            range(episodes),
            mode="new",
            workers=workers,
            stage=quiet_stage,
        )


def data_job(path: Path, **settings: Any) -> DataJob:
    """Returns the job on a dataset with all of its cameras.

    `settings` are other fields of `DataJob`.
    """
    with Dataset(path) as dataset:
        cameras = dataset.header.metadata.get("config", {}).get("cameras", ())
    return DataJob(path, tuple(cameras), **settings)


def measure_data(
    job: DataJob, pythons: Mapping[str, Path], folder: Path
) -> Iterator[DataSpeed]:
    """Yields the speeds of our loader, then those of the peers.

    Args:
        job: what to load.
        pythons: name of a peer -> a Python interpreter that has it.
        folder: the folder for the exports that LeRobot reads.

    Raises:
        EmbodiedError: an interpreter lacks the peer, or the peer's script failed.
    """
    our_speeds = {}  # (content, source) -> our median speed, windows per s
    for speed in measure_own(job):
        our_speeds[speed.content, speed.source] = speed.speed.median
        yield speed

    for name, python in pythons.items():
        for speed in measure_peer(name, python, job, folder):
            yield _compared(speed, our_speeds, reads_all_rows=name == "robomimic")


def _compared(
    speed: DataSpeed,
    our_speeds: Mapping[tuple[str, str], float],
    reads_all_rows: bool,
) -> DataSpeed:
    """Returns a peer's speed, completed by the ratios of our speed to the peer's.

    Args:
        speed: the speed of the peer.
        our_speeds: (content, source) -> windows per second of our loader.
        reads_all_rows: whether the peer reads pictures in all rows of a window.
    """
    # LeRobot's sources "PNG" and "video" are on disk
    source = MEMORY if speed.source == MEMORY else DISK
    ratio = our_speeds[speed.content, source] / speed.speed.median
    in_all_rows = None
    if reads_all_rows and speed.content == PICTURES:
        in_all_rows = our_speeds[WHOLE, source] / speed.speed.median
    return replace(speed, ours_over_it=ratio, ours_in_all_rows=in_all_rows)


def measure_own(job: DataJob) -> Iterator[DataSpeed]:
    """Yields the speeds of our own loader."""
    # A window's rows count from row 0, that of the newest observation and the first action.
    # Each content maps the keys of arrays to the rows that a window has of them.
    history = range(1 - job.history, 1)
    states = {"obs/agent_pos": history, "actions": range(job.chunk)}
    pictures = {f"obs/{name}_image": history for name in job.cameras}
    all_rows = range(1 - job.history, job.chunk)
    contents = {STATES: states}
    if job.cameras:
        contents[PICTURES] = {**states, **pictures}
        contents[WHOLE] = {
            "actions": range(job.chunk),
            **dict.fromkeys(["obs/agent_pos", *pictures], all_rows),
        }

    # measure each content from memory and from disk
    for content, rows in contents.items():
        for source in (MEMORY, DISK):
            with Windows(job.path, Window(rows), ALL) as windows:
                if source == MEMORY:
                    windows.load(max_bytes=2**62)  # no limit
                loader = WindowLoader(windows, job.batch_size)
                # every batch has the array "tick", with a row for each window
                speeds = windows_per_s(loader, "tick", job.repeats, job.seconds)
            yield DataSpeed(OWN, content, source, _median(speeds))


def measure_peer(
    name: str, python: Path, job: DataJob, folder: Path
) -> Iterator[DataSpeed]:
    """Yields the speeds of a peer's loader, measured in a process of its own."""
    settings = asdict(job) | {"path": str(job.path.resolve())}
    if name == "robomimic":
        with Dataset(job.path) as dataset:
            settings["episodes"] = min(PEER_EPISODES, len(dataset))
    else:
        settings["roots"] = _exported(job, folder)

    result = _run(name, python, settings)
    # a key is content and source, such as "pictures disk"
    loader = f"{name} {result['version']}"
    for key, speeds in result["speeds"].items():
        content, source = key.split(" ", maxsplit=1)
        yield DataSpeed(loader, content, source, _median(speeds))


def _exported(job: DataJob, folder: Path) -> dict[str, str]:
    """Exports the dataset to folders in LeRobot's format.

    Returns:
        "content source", a key of LEROBOT_SETS -> the folder of its export.
    """
    roots = {}
    for content, pictures in LEROBOT_SETS.items():
        if pictures != "none" and not job.cameras:
            continue

        # one export for each format of the pictures
        target = folder / pictures
        with_pictures = pictures != "none"
        choice = Choice(ALL, cameras=job.cameras if with_pictures else ())
        selection = Selection([job.path], choice)
        episodes = selection.load(images=with_pictures)
        export_lerobot(selection, episodes, target, pictures)
        selection.close()

        roots[content] = str(target)
    return roots


def _run(name: str, python: Path, settings: Mapping[str, Any]) -> Any:
    """Runs a peer's script; returns the result that it printed as JSON."""
    script = Path(peers.__file__).with_name(f"{name}_loader.py")
    command = [str(python), str(script), json.dumps(settings)]
    try:
        process = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=LONGEST_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbodiedError(
            f"{name} was not measured with {python}: {error}"
        ) from error

    # the peers' packages print lines of their own
    results = [
        line.removeprefix("RESULT ")
        for line in process.stdout.splitlines()
        if line.startswith("RESULT ")
    ]
    if process.returncode or not results:
        reason = (process.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise EmbodiedError(f"{name} was not measured with {python}: {reason}")
    return json.loads(results[0])


def _median(speeds: Sequence[float]) -> Median:
    middle = median(speeds)
    assert middle is not None
    return middle
