"""Contracts on judging, that is a task's decision on success, progress and loss.

It depends on the recorded state only, and it gives the same on torch as on NumPy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import array_api_compat.torch as xp_torch
import numpy as np
import torch

from embodied.contract.case import Case, ContractError, random_actions, require
from embodied.core import Array, Observation
from embodied.envs.own_tasks import task_argument
from embodied.envs.scoring import StepResult
from embodied.envs.worlds import Worlds
from embodied.policies.registry import find_policy
from embodied.robots.control import RobotControl
from embodied.rollout.rollout import EpisodeResult, Step, rollout
from embodied.sim.engine import Engine, Watcher

LOG_TICKS = 80  # physics ticks between logged states: 5 states per second
LEAST_STATES = 5  # the log must have more states than this to be a test
LEVEL = "L2"
EXPERT_SEEDS = (3, 4)


@dataclass(frozen=True)
class JudgedState:
    """The complete state of N worlds, and the task's judgement of it."""

    integration_state: np.ndarray  # (N, D)
    model: dict[str, np.ndarray]  # varied fields of the model, (N, ...) each
    memory: dict[str, np.ndarray]  # memory of the task, (N, ...) each
    success: np.ndarray  # (N,) bool, in this state
    progress: np.ndarray  # (N,)


class StateLog:
    """A hook that logs complete states and their judgements, 5 times per second."""

    def __init__(self) -> None:
        self.states: list[JudgedState] = []

    def on_start(
        self, worlds: Worlds, ids: Array, indices: Array, observation: Observation
    ) -> None:
        """Does nothing: states count once the worlds move."""

    def on_step(self, worlds: Worlds, step: Step) -> None:
        """Logs the state and the task's judgement of it, when that is due."""
        # the episodes started together, so all worlds have the tick of world 0
        due = int(step.before.tick[0]) % LOG_TICKS == 0
        # a logged state covers all worlds, so all must be running and sound
        if not (due and step.active.all()) or step.result.fault.any():
            return

        # copies, because the worlds reuse their arrays
        result: StepResult = step.result
        self.states.append(
            JudgedState(
                integration_state=worlds.integration_state(),
                model=_copies(worlds.engine.model_views()),
                memory=_copies(worlds.task.memory()),
                success=result.success_now.copy(),  # not yet held for a while
                progress=result.progress.copy(),
            )
        )

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        """Does nothing: the results are returned by the rollout."""


def _copies(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.copy(array) for name, array in arrays.items()}


def the_expert_succeeds_and_is_judged_again(case: Case) -> None:
    """Lets the expert succeed, then judges its logged states again in new worlds."""
    config = case.config(control_mode="ee_delta", control_hz=200, level=LEVEL)
    worlds = Worlds(config, len(EXPERT_SEEDS))
    log = StateLog()
    policy = find_policy("expert").make(worlds)
    for result in rollout(worlds, policy, EXPERT_SEEDS, [log]):
        require(
            result.success_at_end,
            f"the expert fails at {LEVEL} with seed {result.seed}, with a progress of "
            f"{result.progress_max:.2f} at most: {_view_command(case, result.seed)}",
        )

    # new worlds with other seeds: the judgement must depend on the logged state alone
    again = Worlds(config, len(EXPERT_SEEDS))
    ids = np.arange(len(EXPERT_SEEDS))
    again.reset(ids, [8, 9])
    for recorded in log.states:
        for name, values in recorded.model.items():
            again.engine.model_view(name)[...] = values
        for name, values in recorded.memory.items():
            again.task.memory()[name][...] = values
        again.engine.state()[...] = recorded.integration_state
        again.engine.refresh(ids)  # computes contacts and the like from the state

        # the judgement in new worlds must equal the recorded one
        outcome = again.task.judge()
        same = (outcome.success == recorded.success).all() and np.allclose(
            outcome.progress, recorded.progress, rtol=0, atol=1e-9
        )
        require(
            same,
            f"a recorded state is judged otherwise in new worlds: progress "
            f"{outcome.progress.tolist()}, not {recorded.progress.tolist()}; "
            "what an episode remembers must be in `memory`, what differs in "
            "`engine.model_view`",
        )
    count = len(log.states)
    require(count > LEAST_STATES, f"the expert was done after {count} judgements")


def _view_command(case: Case, seed: int) -> str:
    """Returns the command that shows an episode of the expert."""
    task = task_argument(case.task)
    return f"embodied view {task} --robot {case.robot} --level {LEVEL} --seed {seed}"


class TorchView:
    """Shows an engine's worlds as torch tensors, as the engine on a GPU does.

    It has the part of `Engine` that tasks and controls use; it cannot step.
    """

    xp = xp_torch

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.model = engine.model
        self.num_worlds = engine.num_worlds
        self.watchers: list[Watcher] = []

    @property
    def version(self) -> int:
        return self._engine.version

    def view(self, field: str) -> torch.Tensor:
        """Returns a field of the state as a tensor (N, ...)."""
        # Writeable arrays share memory with the engine. Read-only ones are copied,
        # because torch has no read-only tensors.
        values = self._engine.view(field)
        return (
            torch.from_numpy(values) if values.flags.writeable else torch.tensor(values)
        )

    def model_view(self, field: str) -> torch.Tensor:
        return torch.from_numpy(self._engine.model_view(field))


@contextmanager
def _double_precision() -> Iterator[None]:
    """Makes float64 torch's default type, as it is NumPy's."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def state_and_judgement_run_on_torch(case: Case) -> None:
    """Compares what the task computes on torch and on NumPy."""
    # the middle of an episode, after 3 s of random actions
    worlds = case.worlds(6, level="L4")
    for action in random_actions(worlds, steps=60):
        worlds.step(action)

    with _double_precision():
        on_torch = worlds.spec.bind(TorchView(worlds.engine), worlds.robot)  # type: ignore[arg-type]
        # the memory of the running episodes
        for name, values in worlds.task.memory().items():
            on_torch.memory()[name][...] = torch.from_numpy(values)

        _require_close("state", on_torch.state(), worlds.task.state(), tolerance=1e-12)
        outcome = on_torch.judge()
        for name, values in vars(worlds.task.judge()).items():
            judged = getattr(outcome, name)
            # tasks in which nothing can fall return the number 0 instead of an array
            if name == "dropped" and isinstance(judged, int):
                continue
            _require_close(f"judge: {name}", judged, values, tolerance=1e-9)

        if worlds.spec.measures:
            measures = on_torch.measures()  # type: ignore[attr-defined]
            for name, values in worlds.task.measures().items():  # type: ignore[attr-defined]
                _require_close(f"measures: {name}", measures[name], values, 1e-9)
        # raises an error for measures that the task did not declare
        worlds.measures_of(0)

        # `before_step` changes the model (belts, pushes): both must change it alike
        tick = np.arange(6) * 300  # a different time in each world
        worlds.task.before_step(tick)
        views = worlds.engine.model_views()
        expected = {name: np.copy(values) for name, values in views.items()}
        on_torch.before_step(torch.from_numpy(tick))
    for name, values in worlds.engine.model_views().items():
        same = (values == expected[name]).all()
        require(same, f"before_step changes {name} otherwise on torch")


def _require_close(
    what: str, on_torch: object, values: np.ndarray, tolerance: float
) -> None:
    """Raises ContractError unless a tensor equals NumPy's values within a tolerance."""
    if not isinstance(on_torch, torch.Tensor):
        raise ContractError(
            f"{what} is a {type(on_torch).__name__} on torch: use engine.xp, not numpy"
        )
    same = np.allclose(on_torch.numpy(), values, rtol=tolerance, atol=1e-15)
    require(same, f"{what} differs between NumPy and torch")


def control_runs_on_torch(case: Case) -> None:
    """Compares the servo targets that actions give on torch and on NumPy."""
    with _double_precision():
        worlds = case.worlds(6)
        on_torch = RobotControl(
            worlds.robot,
            TorchView(worlds.engine),  # type: ignore[arg-type]
            case.mode,
            worlds.config.control_hz,
        )
        on_torch.reset(torch.ones(6, dtype=torch.bool))

        # torch first: both write into the engine's `ctrl`, and NumPy's targets must be the
        # ones that move the worlds
        for action in random_actions(worlds, 10).astype(np.float64):
            on_torch.apply(torch.from_numpy(action))
            worlds.control.apply(action)
            same = np.allclose(
                on_torch.joint_target.numpy(),
                worlds.control.joint_target,
                rtol=1e-9,
                atol=1e-12,
            )
            require(same, "the servo targets differ between NumPy and torch")
            worlds.engine.step(20)  # physics ticks
