"""`embodied demo`: everything once, in one folder."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from embodied.benchmark import footage, views
from embodied.benchmark.dataset_facts import dataset_facts
from embodied.benchmark.evaluation import Place, Timing, Trial, evaluate, plan_trials
from embodied.benchmark.report import Report, write_report
from embodied.benchmark.results import Results
from embodied.cli import arguments
from embodied.cli.eval import REPORT, RESULTS, TRANSPORT, provenance_of
from embodied.cli.output import require_writable
from embodied.cli.progress import stages
from embodied.cli.train import Lesson, learn
from embodied.envs.registry import get_robot, get_task
from embodied.errors import EmbodiedError
from embodied.files import replace_text
from embodied.policies.catalog import PLANNER_HZ, Player, env_config, policy_spec
from embodied.policies.collection import Recording, collect, collection_header
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.run_folder import read_history
from embodied.rollout.shards import Workers

HELP = """Everything once, in one folder: collect demonstrations, train a policy on them, evaluate it beside the expert
and beside random actions, and report. An earlier demo is replaced."""
EXAMPLE = "embodied demo"
MARK = "demo.json"
POLICY = "policy"
TASK = "ToteTransfer"
EVAL_SEED = 10_000
# of the shoves in the demonstrations: without them a policy does not learn to look for
# the tote
NOISE = 0.33


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    demonstrations: tuple[tuple[str, int], ...]  # level, episodes
    first_seed: int
    minutes: float  # of training
    # of training, instead: then the policy does not depend on how fast the machine is
    steps: int | None
    episodes: int  # in each cell of the evaluation
    delays_ms: tuple[float, ...]
    films: int  # successes and failures of each film


FULL = Size(
    (("L1", 220), ("L2", 340)), 0, 5.0, 3500, 100, (0.0, 100.0, 250.0, 500.0), 2
)
# seed 14 is one of those kept for validation
QUICK = Size((("L1", 2), ("L2", 2)), 13, 1.0, 2, 1, (0.0, 500.0), 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("runs/demo"),
        metavar="FOLDER",
        help="default: runs/demo",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="tiny figures, that mean nothing: to see that all works",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the training (default: 0)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with a demo that was interrupted"
    )
    arguments.add_speed(parser)


def run(args: argparse.Namespace) -> int:
    """All stages; the last line says where the report is and what the policy scored."""
    size = QUICK if args.quick else FULL
    claim(args.output, args.quick, args.resume)
    demo = Demo(args.output, size, args.num_envs, args.seed)
    try:
        with Workers(arguments.workers(args, size.episodes)) as workers:
            report = demo.run(workers, ["embodied", *args.words])
    except KeyboardInterrupt:
        raise KeyboardInterrupt(arguments.resume_hint(args.words)) from None
    print(f"{args.output / REPORT}: {views.headline(report.results)}")
    return 0


def claim(folder: Path, quick: bool, resume: bool) -> None:
    """Makes the folder ready: new, or emptied of an earlier demo, or as it was left.

    Raises:
        EmbodiedError: it cannot be written to, or holds something that is no demo, or a
            demo of another size.
    """
    require_writable(folder)
    mark = folder / MARK
    if (
        folder.exists()
        and not mark.exists()
        and (not folder.is_dir() or any(folder.iterdir()))
    ):
        raise EmbodiedError(
            f"{folder} exists and is no earlier demo, so it will not be replaced: choose another -o"
        )
    if resume and mark.exists():
        if json.loads(mark.read_text(encoding="utf-8"))["quick"] != quick:
            raise EmbodiedError(
                f"{folder} is a demo {'without' if quick else 'with'} --quick: go on with it likewise"
            )
        return
    for path in folder.glob("demonstrations-*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(folder / POLICY, ignore_errors=True)
    for name in (RESULTS, REPORT):
        (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(mark, json.dumps({"quick": quick, "stages": {}}))


class Demo:
    """The stages of a demo in its folder; what is finished of them is not done again."""

    def __init__(self, folder: Path, size: Size, num_envs: int, seed: int) -> None:
        self.folder = folder
        self.size = size
        self.num_envs = num_envs
        self.seed = seed
        self.datasets = [
            folder / f"demonstrations-{level}.hdf5" for level, _ in size.demonstrations
        ]
        self.stage = stages(quiet=False)

    def run(self, workers: Workers, command: list[str]) -> Report:
        """Collect, train, evaluate, report."""
        with self._timed("collect"):
            self._collect(workers)
        with self._timed("train"):
            lesson = Lesson(
                tuple(self.datasets),
                self._cameras,
                self.size.minutes,
                self.size.steps,
                self.seed,
            )
            learn(lesson, self.folder / POLICY, resume=True, quiet=False)
        trials = self._trials()
        with self._timed("evaluate"):
            provenance = provenance_of(trials, command)
            results = evaluate(
                self.folder / RESULTS, provenance, trials, workers, self.stage
            )
        with self._timed("film"):
            report = self._report(results, trials, workers)
        report = replace(report, stages=self._stages())
        write_report(self.folder / REPORT, report)
        return report

    @property
    def _cameras(self) -> tuple[str, ...]:
        task = get_task(TASK)
        return task.cameras_for(get_robot(task.robots[0]))

    def _collect(self, workers: Workers) -> None:
        spec = policy_spec("expert", TASK)
        hz = int(PLANNER_HZ)  # pictures, plans and records at the same moments
        dual = DualSystemConfig(planner_hz=hz, mailbox="predictive")
        for path, (level, episodes) in zip(
            self.datasets, self.size.demonstrations, strict=True
        ):
            config = env_config(spec, TASK, level, "train")
            config = replace(config, obs="both", cameras=self._cameras, camera_hz=hz)
            player = Player("expert", config, dual, self.num_envs, NOISE)
            seeds = range(self.size.first_seed, self.size.first_seed + episodes)
            collect(
                Recording(player, path, collection_header(player, hz)),
                seeds,
                "resume",
                workers,
                self.stage,
            )

    def _trials(self) -> list[Trial]:
        """All at rest; on the moving belt, those that plan, with plans later and later."""
        seeds = range(EVAL_SEED, EVAL_SEED + self.size.episodes)
        planners = {"expert": "expert", "trained": str(self.folder / POLICY)}
        timings = [Timing(transport_ms=delay) for delay in self.size.delays_ms]
        everyone = {**planners, "random": "random"}
        return [
            *plan_trials(
                everyone, Place(TASK), ["L1"], [Timing()], seeds, self.num_envs
            ),
            *plan_trials(planners, Place(TASK), ["L2"], timings, seeds, self.num_envs),
        ]

    def _report(
        self, results: Results, trials: list[Trial], workers: Workers
    ) -> Report:
        tiny = (
            "THIS IS A QUICK DEMO: ITS FIGURES MEAN NOTHING. "
            if self.size == QUICK
            else ""
        )
        filmed = (("trained", "L2", 0.0), ("expert", "L2", max(self.size.delays_ms)))
        shown = [
            t
            for t in trials
            if (t.condition.policy, t.condition.level, t.condition.delay_ms) in filmed
        ]
        return Report(
            results,
            summary=f"{tiny}{get_task(TASK).summary.capitalize()}. {TRANSPORT}",
            history=read_history(self.folder / POLICY),
            exhibits=footage.footage(
                results, shown, self.size.films, workers, self.stage
            ),
            dataset=dataset_facts(self.datasets),
        )

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        """Adds the time within it to a stage's, also when it is interrupted."""
        begun = time.monotonic()
        try:
            yield
        finally:
            content = json.loads((self.folder / MARK).read_text(encoding="utf-8"))
            content["stages"][name] = (
                content["stages"].get(name, 0.0) + time.monotonic() - begun
            )
            replace_text(self.folder / MARK, json.dumps(content))

    def _stages(self) -> dict[str, float]:
        stored: dict[str, float] = json.loads(
            (self.folder / MARK).read_text(encoding="utf-8")
        )["stages"]
        return stored
