"""The stages of a demo, and the amount of work for each of its sizes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from embodied.benchmark import footage
from embodied.benchmark.dataset_facts import dataset_facts
from embodied.benchmark.evaluation import evaluate
from embodied.benchmark.report import Report, write_report
from embodied.benchmark.results import Results
from embodied.benchmark.timing import Timing
from embodied.benchmark.trials import TaskChoice, Trial, plan_trials
from embodied.cli.eval import REPORT, RESULTS, TRANSPORT, trials_provenance
from embodied.cli.progress import stages
from embodied.cli.train_datasets import imitate
from embodied.cli.view_command import with_view_commands
from embodied.envs.registry import get_robot, get_task
from embodied.files import replace_text
from embodied.policies.collection import Recording, collect, collection_header
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.expert import PLANNER_HZ
from embodied.policies.registry import find_policy
from embodied.policies.run_folder import read_history
from embodied.policies.training.budget import Budget
from embodied.policies.training.config import ImitationConfig
from embodied.rollout.shards import Workers

# The name of a file with size, seed and times of a demo. A folder with this file is the
# folder of a demo.
MARK = "demo.json"
POLICY = "policy"  # name of the run folder within the demo's folder
TRAINED = "trained"  # name of the policy that the demo trains, in its results
TASK = "ToteTransfer"
EVAL_SEED = 10_000  # first seed of the evaluation, far above the demonstrations'
RECORD_HZ = int(PLANNER_HZ)  # the same rate for pictures, plans and recorded frames
# Standard deviation of the noise on the demonstrations' actions. Without noise a policy
# does not learn to search for the tote.
NOISE = 0.33


@dataclass(frozen=True)
class Size:
    """The amount of work of a demo."""

    demonstrations: tuple[tuple[str, int], ...]  # (level, number of episodes)
    first_seed: int  # seed of the first demonstration
    steps: (
        int  # training steps; not a time, so that results don't depend on the machine
    )
    episodes: int  # episodes in each cell of the evaluation
    at_rest: tuple[str, ...]  # policies evaluated at L1, where the totes stand still
    on_belt: tuple[str, ...]  # policies evaluated at L2, on a belt, with each delay
    delays_ms: tuple[float, ...]  # delays of plans
    filmed: tuple[tuple[str, str, float], ...]  # (policy, level, delay in ms)
    films: int  # number of successes, and of failures, in each film
    subject: str  # the policy that the report is about
    caveat: str = ""  # warning at the top of the report


SIZES = {
    "full": Size(
        demonstrations=(("L1", 220), ("L2", 340)),
        first_seed=0,
        steps=3500,
        episodes=100,
        at_rest=("expert", TRAINED, "random"),
        on_belt=("expert", TRAINED),
        delays_ms=(0.0, 100.0, 250.0, 500.0),
        filmed=((TRAINED, "L2", 0.0), ("expert", "L2", 500.0)),
        films=2,
        subject=TRAINED,
    ),
    "small": Size(
        demonstrations=(("L1", 60),),
        first_seed=0,
        steps=400,
        episodes=20,
        at_rest=("expert", "pretrained", TRAINED, "random"),
        on_belt=("expert", "pretrained"),
        delays_ms=(0.0, 250.0),
        filmed=(("pretrained", "L2", 0.0),),
        films=1,
        subject="pretrained",
        caveat=(
            "This is a small demo: 20 episodes in each cell, so the intervals are wide. The policy “trained” learned"
            " here from 60 demonstrations in 400 steps; “pretrained” ships with the package and learned, by the same"
            " code, from 560 in 3,500 steps. “embodied demo --full” does all of that here."
        ),
    ),
    "quick": Size(
        demonstrations=(("L1", 2), ("L2", 2)),
        first_seed=13,  # seed 14 is held out: validation needs an episode
        steps=2,
        episodes=1,
        at_rest=("expert", TRAINED, "random"),
        on_belt=("expert", TRAINED),
        delays_ms=(0.0, 500.0),
        filmed=((TRAINED, "L2", 0.0), ("expert", "L2", 500.0)),
        films=1,
        subject=TRAINED,
        caveat="THIS IS A QUICK DEMO: ITS FIGURES MEAN NOTHING.",
    ),
}


class Demo:
    """The stages of a demo in its folder; finished parts are not repeated."""

    def __init__(self, folder: Path, size: Size, num_envs: int, seed: int) -> None:
        self.folder = folder
        self.size = size
        self.num_envs = num_envs
        self.seed = seed
        self.stage = stages(quiet=False)

    def run(self, workers: Workers, command: list[str]) -> Report:
        """Collects, trains, evaluates, films, and writes the report."""
        with self._timed("collect"):
            self._collect(workers)
        with self._timed("train"):
            config = self.training(self._datasets(), self.size.steps)
            imitate(config, self.folder / POLICY, resume=True, quiet=False)

        trials = self.trials(str(self.folder / POLICY))
        with self._timed("evaluate"):
            results = evaluate(
                self.folder / RESULTS,
                trials_provenance(trials, command),
                trials,
                workers=workers,
                stage=self.stage,
            )
        with self._timed("film"):
            report = self._report(results, trials, workers)

        report = replace(report, stages=self._stage_seconds())
        write_report(self.folder / REPORT, report)
        return report

    def demonstrator(self, level: str) -> EpisodeRunner:
        """Returns the runner of the expert for demonstrations, with cameras and noise."""
        config = replace(
            env_config_for(find_policy("expert").spec(TASK), TASK, level, "train"),
            obs="both",  # states and pictures
            cameras=self._cameras(),
            camera_hz=RECORD_HZ,
        )
        # "predictive": moving goals, as on the belt, are extrapolated between plans
        dual = DualSystemConfig(planner_hz=RECORD_HZ, mailbox="predictive")
        return EpisodeRunner(
            "expert", config, dual, num_envs=self.num_envs, noise=NOISE
        )

    def recording(self, runner: EpisodeRunner, path: Path) -> Recording:
        """Returns the recording of a demonstrator into a dataset at `path`."""
        return Recording(runner, path, collection_header(runner, RECORD_HZ))

    def training(self, datasets: list[Path], steps: int) -> ImitationConfig:
        """Returns the config of the training."""
        return ImitationConfig(
            datasets=tuple(datasets),
            cameras=self._cameras(),
            budget=Budget(max_steps=steps),
            seed=self.seed,
        )

    def trials(self, trained: str) -> list[Trial]:
        """Returns the cells of the evaluation.

        Args:
            trained: name or run folder of the policy that stands for `TRAINED`.
        """
        # a policy's name in the results -> its name for `find_policy`, or its run folder
        at_rest = {name: name for name in self.size.at_rest}
        on_belt = {name: name for name in self.size.on_belt}
        at_rest[TRAINED] = trained  # every size evaluates the trained policy at rest
        if TRAINED in on_belt:
            on_belt[TRAINED] = trained

        seeds = range(EVAL_SEED, EVAL_SEED + self.size.episodes)
        timings = [Timing(transport_ms=delay) for delay in self.size.delays_ms]
        task_choice = TaskChoice(TASK)
        trials = [
            *plan_trials(
                at_rest, task_choice, ["L1"], [Timing()], seeds, self.num_envs
            ),
            *plan_trials(on_belt, task_choice, ["L2"], timings, seeds, self.num_envs),
        ]
        return with_view_commands(trials)

    def filmed(self, trials: list[Trial]) -> list[Trial]:
        """Returns the trials that are filmed for the report."""
        chosen = []
        for trial in trials:
            condition = trial.condition
            key = (condition.policy, condition.level, condition.delay_ms)
            if key in self.size.filmed:
                chosen.append(trial)
        return chosen

    def _cameras(self) -> tuple[str, ...]:
        task = get_task(TASK)
        return task.cameras_for(get_robot(task.default_robot))

    def _datasets(self) -> list[Path]:
        return [self._dataset(level) for level, _ in self.size.demonstrations]

    def _dataset(self, level: str) -> Path:
        return self.folder / f"demonstrations-{level}.hdf5"

    def _collect(self, workers: Workers) -> None:
        """Records the missing demonstrations of each level."""
        first = self.size.first_seed
        for level, episodes in self.size.demonstrations:
            recording = self.recording(self.demonstrator(level), self._dataset(level))
            seeds = range(first, first + episodes)
            collect(recording, seeds, "resume", workers=workers, stage=self.stage)

    def _report(
        self, results: Results, trials: list[Trial], workers: Workers
    ) -> Report:
        """Films the chosen trials; returns the report."""
        # the summary: a warning for small demos, the task, and how delays are simulated
        sentences = [
            self.size.caveat,
            f"{get_task(TASK).summary.capitalize()}.",
            TRANSPORT,
        ]

        films = footage.film_trials(
            results,
            self.filmed(trials),
            self.size.films,
            workers=workers,
            stage=self.stage,
        )

        # `strip` removes the space that an empty caveat leaves
        return Report(
            results,
            subject=self.size.subject,
            summary=" ".join(sentences).strip(),
            history=read_history(self.folder / POLICY),
            videos=films,
            dataset=dataset_facts(self._datasets()),
        )

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        """Adds the wall time of the block to the time of a stage in the file MARK.

        An interrupted block counts, too, because a resumed demo continues the stage.
        """
        mark = self.folder / MARK
        begun_s = time.monotonic()
        try:
            yield
        finally:
            content = json.loads(mark.read_text(encoding="utf-8"))
            earlier_s = content["stages"].get(name, 0.0)
            content["stages"][name] = earlier_s + time.monotonic() - begun_s
            replace_text(mark, json.dumps(content))

    def _stage_seconds(self) -> dict[str, float]:
        """Returns stage -> wall time in s, over all runs of this demo."""
        content = json.loads((self.folder / MARK).read_text(encoding="utf-8"))
        seconds: dict[str, float] = content["stages"]
        return seconds
