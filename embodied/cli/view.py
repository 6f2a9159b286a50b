"""`embodied view`: shows episodes of a policy in a window or in a video."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embodied.benchmark.trials import TaskChoice, Trial, plan_trials
from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.cli.progress import stages
from embodied.cli.terms import LEVEL, evaluation_terms
from embodied.cli.timing import FLAGS, add_timing, chosen_timings
from embodied.core import PHYSICS_HZ, Observation
from embodied.envs.registry import get_task
from embodied.errors import EmbodiedError
from embodied.policies.episodes import EpisodeRunner
from embodied.policies.realtime.pacing import LATE_MS
from embodied.policies.realtime.run import run_in_real_time, write_trace
from embodied.policies.realtime.system import NEVER_MS, RealTimeRecord
from embodied.rollout.advance import Advances
from embodied.rollout.endings import describe_ending, describe_place
from embodied.rollout.film import Film, Shot
from embodied.rollout.grid import Grid
from embodied.rollout.rollout import EpisodeResult, Step
from embodied.rollout.video import write_mp4
from embodied.sim.window import Window, has_display
from embodied.wording import counted

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds

HELP = "Watch a policy at work: in a window in real time where there is a screen, else in a video."
EXAMPLE = """embodied view ToteTransfer --level L2
  embodied view ToteTransfer --policy random --episodes 4 -o random.mp4
  embodied view ToteTransfer --policy pretrained --realtime --trace clock.txt"""
WINDOW_HZ = 50  # pictures per second in the window
VIDEO_SIZE = (480, 640)  # (H, W) of each episode, in pixels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    arguments.add_scene(parser)

    # who acts
    parser.add_argument(
        "--policy",
        default="expert",
        help="a name, a run folder, MODULE:NAME or remote:HOST:PORT (default: expert; see `embodied list policies`)",
    )
    parser.add_argument(
        "--level",
        help=f"how much varies: L1 to L4 (default: {LEVEL}, or what a run of reinforcement learning trained on)",
    )
    arguments.add_stage(parser)

    # which episodes
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the first episode (default: 0)"
    )
    parser.add_argument(
        "--episodes", type=int, default=1, help="how many to show (default: 1)"
    )

    # camera and output
    parser.add_argument("--camera", help="camera of the video (default: the task's)")
    arguments.add_output(
        parser,
        "an .mp4 file, in place of a window (default: runs/view/TASK.mp4)",
        required=False,
    )

    _add_real_time(parser)
    add_timing(parser)


def _add_real_time(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments on running in real time."""
    parser.add_argument(
        "--realtime",
        action="store_true",
        help="run on the wall clock, with the planner in a process of its own, and say "
        "how punctual it was",
    )

    parser.add_argument(
        "--trace",
        type=Path,
        metavar="FILE",
        help="with --realtime: write how long each plan of the episode took; "
        "--compute-trace FILE then shows the same episode in simulated time",
    )


def run(args: argparse.Namespace) -> int:
    """Shows the episodes, and prints their results."""
    if args.realtime:
        return run_real_time(args)
    arguments.reject_flags(args, ("trace",), "only with --realtime")
    for result in show(args):
        print(describe(result))
    return 0


def run_real_time(args: argparse.Namespace) -> int:
    """Runs the episodes on the wall clock, and prints how punctual control was."""
    # flags that simulate delays, whereas in real time delays are measured
    delay_flags = [
        name for name in FLAGS if name not in ("planner_hz", "mailbox", "bridge")
    ]
    reason = "not with --realtime, which measures what takes time"
    arguments.reject_flags(args, ("output", "camera", *delay_flags), reason)
    seeds = arguments.seeds(args)
    if args.trace is not None:
        if len(seeds) > 1:
            raise EmbodiedError("--trace is of one episode: leave out --episodes")
        require_writable(args.trace)

    trial = viewed_trial(args, seeds)
    results, records = run_in_real_time(trial.runner, seeds)
    for result, record in zip(results, records, strict=True):
        print(describe(result))
        print(describe_clock(record, trial.condition.control_hz))
    if args.trace is not None:
        write_trace(args.trace, records[0])
        print(args.trace)
    return 0


def describe_clock(record: RealTimeRecord, control_hz: int) -> str:
    """Returns two lines on an episode: lateness of control steps, and age of plans."""
    steps = record.punctuality
    lines = (
        f"  {steps.steps} control steps at {control_hz} Hz: {steps.late_share:.1%} begun "
        f"more than {LATE_MS:g} ms late, the median {steps.median_ms:.2f} ms, the 99th "
        f"percentile {steps.p99_ms:.2f}, the worst {steps.worst_ms:.1f}\n"
    )

    # NEVER_MS marks plans that had not arrived at the end of the episode
    plans_ms = np.array(record.compute_ms)
    plans_ms = plans_ms[plans_ms < NEVER_MS]
    if not len(plans_ms):
        return f"{lines}  no plan arrived"
    return (
        f"{lines}  {counted(len(record.compute_ms), 'plan')} took {np.median(plans_ms):g} ms, the "
        f"longest {plans_ms.max():g}; their age was {1000 * record.mean_age_s:.0f} ms, at "
        f"most {1000 * record.worst_age_s:.0f}"
    )


def show(args: argparse.Namespace) -> list[EpisodeResult]:
    """Shows the episodes in a window or films them; returns their results.

    The results are the same, bit for bit, as those of `embodied eval` with the same
    arguments.
    """
    seeds = arguments.seeds(args)
    path = video_path(args)
    trial = viewed_trial(args, seeds)
    if path is None:
        arguments.reject_flags(args, ("camera",), "only of a video: give -o, too")
        return replace(trial.runner, num_envs=1).run(seeds, [Live()])

    camera = args.camera or get_task(args.task).beauty_camera
    shot = Shot(camera, label=trial.label, size=VIDEO_SIZE)
    results = record(path, trial.runner, shot, seeds)
    print(path)
    return results


def viewed_trial(args: argparse.Namespace, seeds: range) -> Trial:
    """Returns the trial that the arguments describe.

    If the stage or the level come from the policy's run, this is printed.
    """
    terms = evaluation_terms(
        [args.policy], args.stage, None if args.level is None else [args.level]
    )
    # with one policy, one level and one timing there is one trial
    [trial] = plan_trials(
        {args.policy: args.policy},
        TaskChoice(args.task, args.split, args.robot, stage=terms.stage),
        terms.levels,
        timings=chosen_timings(args, [args.policy]),
        seeds=seeds,
    )
    if terms.note:
        print(f"shown {terms.note}", file=sys.stderr)
    return trial


def video_path(args: argparse.Namespace) -> Path | None:
    """Returns the path of the video; None for a window.

    Raises:
        EmbodiedError: the path is not an .mp4, exists already or cannot be written.
    """
    if args.output is None and has_display():
        return None

    default = Path("runs") / "view" / f"{get_task(args.task).name}.mp4"
    path: Path = args.output or default
    if path.suffix.lower() != ".mp4":
        raise EmbodiedError(f"{path} must end in .mp4: the video is an MP4 file")
    require_writable(path)
    # a video at the default path is temporary, so it may be replaced
    if args.output is not None and path.exists():
        raise EmbodiedError(f"{path} exists: choose another name after -o")
    return path


def describe(result: EpisodeResult) -> str:
    """Returns a line on an episode: seed, outcome and instruction."""
    parts = [describe_ending(result)]
    if not result.success_at_end:
        parts.append(f"progress {result.progress_max:.2f}")
        parts.append(describe_place(result))
    outcome = ", ".join(part for part in parts if part)
    return f"seed {result.seed}: {outcome}, '{result.instruction}'"


def record(
    path: Path,
    runner: EpisodeRunner,
    shot: Shot,
    seeds: Sequence[int],
    quiet: bool = False,
) -> list[EpisodeResult]:
    """Films episodes into one video, as a square grid, with a progress bar.

    Args:
        path: the path of the video.
        runner: the runner of the episodes.
        shot: camera, size and label of the film.
        seeds: the seeds of the episodes.
        quiet: whether to hide the progress.

    Returns:
        The results, in the order of `seeds`.
    """
    film = Film(shot, range(len(seeds)))
    with stages(quiet)(f"film {shot.label}", len(seeds)) as report:
        # `Advances` moves the bar within episodes, not only at their ends
        advances = Advances(list(seeds), report)
        results = runner.run(seeds, [film, advances], report)

    path.parent.mkdir(parents=True, exist_ok=True)
    grid = Grid(tuple(film.clips), columns=math.ceil(math.sqrt(len(seeds))))
    write_mp4(path, grid.frames(), grid.fps)
    return results


@dataclass
class Live:
    """A rollout hook that shows world 0 in a window in real time."""

    window: Window | None = None
    begun_s: float = 0.0  # start of the episode on the wall clock
    num_shown: int = 0  # number of pictures of this episode shown so far

    def on_start(
        self,
        worlds: Worlds,
        ids: np.ndarray,
        indices: np.ndarray,
        observation: Observation,
    ) -> None:
        """Opens the window if it is not open yet, and prints the instruction."""
        if self.window is None:
            self.window = Window(worlds.engine)
        self.begun_s = time.monotonic()
        self.num_shown = 0
        print(observation.instruction[0])

    def on_step(self, worlds: Worlds, step: Step) -> None:
        """Waits until the step's real time has come, and shows the scene."""
        # the next picture is due at num_shown / WINDOW_HZ of simulated time
        now_s = (int(step.before.tick[0]) + worlds.ticks_per_step) / PHYSICS_HZ
        if self.window is None or now_s * WINDOW_HZ < self.num_shown:
            return

        self.num_shown += 1
        time.sleep(max(0.0, self.begun_s + now_s - time.monotonic()))
        if not self.window.is_open:
            raise KeyboardInterrupt("The window was closed.")
        self.window.show()

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        """Does nothing: the window stays for the next episode."""
