"""What TableWipe says and does: which stains are named, what wipes them, what spoils an
episode, what happens at L4.
"""

from __future__ import annotations

import numpy as np
import pytest

from embodied.envs.props.pad import Pad
from embodied.envs.props.stains import CELLS, STAINS
from embodied.envs.scoring import StepResult
from embodied.envs.tasks.table_wipe.episode import choose_kinds, named_by
from embodied.envs.tasks.table_wipe.task import FORCE_LIMIT_N, TableWipe
from embodied.envs.tasks.table_wipe.variation import KINDS, REQUESTS
from embodied.envs.worlds import Worlds
from embodied.policies.registry import find_policy
from embodied.rollout.rollout import rollout
from tests.ground import expert_worlds, idle_action, started_worlds

N = 24
S = len(STAINS)


def wipe_worlds(num: int = 1, first_seed: int = 0, **settings: object) -> Worlds:
    return started_worlds(num, first_seed, task="TableWipe", **settings)


def part(worlds: Worlds, name: str) -> np.ndarray:
    return worlds.task.state()[:, worlds.state_layout.slices()[name]]


def wipe(worlds: Worlds, stain: int, press_n: float = 8.0) -> StepResult:
    """Rubs a pad that no hand holds to and fro over one stain of world 0."""
    task = worlds.task
    assert isinstance(task, TableWipe)
    pad = Pad(worlds.engine)
    view = worlds.engine.view
    body = worlds.model.body("cloth").id
    joint = worlds.model.joint("cloth")
    cells = task.memory()["cell_xy_w"][0, :, stain]
    middle = (cells.min(axis=1) + cells.max(axis=1)) / 2
    z = part(worlds, "table_z")[0, 0]

    # Set the pad onto the stain; it was not dragged there, so nothing is wiped yet.
    pad.place(0, (*middle, z), 0.0)
    view("qvel")[0, joint.dofadr[0] : joint.dofadr[0] + 6] = 0
    task.memory()["pad_xy_w"][0] = middle
    worlds.engine.refresh(np.array([0]))

    def rub(speed: float) -> StepResult:
        view("xfrc_applied")[0, body, 2] = -press_n
        view("qvel")[0, joint.dofadr[0] + 1] = speed
        return worlds.step(idle_action(worlds))

    # To and fro in turns of four steps, the first of them half as long.
    results = [rub(0.6 if (k + 2) // 4 % 2 else -0.6) for k in range(120)]
    view("xfrc_applied")[0, body, 2] = 0
    return results[-1]


def test_a_request_names_the_stains_it_means() -> None:
    kinds = ["coffee", "ketchup", "coffee"]
    assert named_by("all", "coffee", kinds) == [True] * 3
    assert named_by("one", "coffee", kinds) == [True, False, True]
    assert named_by("but", "coffee", kinds) == [False, True, False]
    assert choose_kinds(["coffee", "coffee", "mustard", "coffee"], 3) == [
        "coffee",
        "mustard",
        "mustard",
    ]
    assert choose_kinds(["coffee"] * 4, 2) == ["coffee", "coffee"]


def test_sentences_fit_what_is_on_the_table() -> None:
    worlds = wipe_worlds(N, level="L3")

    requests = set()
    for world in range(N):
        sampled = worlds.variation_of(world)
        mentioned = [kind for kind in KINDS if kind in sampled["instruction"]]
        requests.add(sampled["request"])
        kinds = sampled["kind"][: sampled["stains"]]
        named = sampled["named"][: sampled["stains"]]
        assert any(named)
        assert bool(mentioned) == (sampled["request"] != "all")

        # Wipe all, one kind only, or all but one kind.
        for kind, wanted in zip(kinds, named, strict=True):
            expected = {
                "all": True,
                "one": kind in mentioned,
                "but": kind not in mentioned,
            }[sampled["request"]]
            assert wanted == expected

    assert requests == set(REQUESTS)


def test_stains_are_apart_and_dirty_where_they_should_be() -> None:
    worlds = wipe_worlds(N, level="L3")
    goal = worlds.task.memory()
    for world in range(N):
        dirty = np.flatnonzero(goal["left"][world].any(axis=1))
        assert len(dirty) == worlds.variation_of(world)["stains"]
        # No two stains come nearer to each other than 6 cm.
        for a in dirty:
            for b in dirty[dirty > a]:
                one = goal["cell_xy_w"][world, :, a]
                other = goal["cell_xy_w"][world, :, b]
                gaps = np.linalg.norm(one[:, :, None] - other[:, None], axis=0)
                assert gaps.min() > 0.06

    areas = part(worlds, "dirt_cm2")
    named = part(worlds, "dirt_named")
    assert ((areas > 0) | (named == 0)).all()
    assert areas.max() < 100

    low = part(worlds, "dirt_low_xy_w")
    high = part(worlds, "dirt_high_xy_w")
    assert (high >= low).all()
    assert (high - low).max() < 0.12


def test_rubbing_the_named_stain_is_a_success_and_the_picture_shows_it() -> None:
    worlds = wipe_worlds(1, level="L1", factors={"request": "one", "target": 0})
    stain = worlds.variation_of(0)["blob"][0]
    ids = [worlds.model.geom(f"{STAINS[stain]}_{k}").id for k in range(CELLS)]
    assert (worlds.engine.model_view("geom_rgba")[0, ids, 3] == 1).all()
    result = wipe(worlds, stain)
    assert result.success[0]
    assert result.progress[0] == 1
    assert (worlds.engine.model_view("geom_rgba")[0, ids, 3] == 0).all()
    assert part(worlds, "dirt_cm2")[0, stain] == 0


def test_a_pad_that_only_lies_wipes_nothing() -> None:
    worlds = wipe_worlds(1, level="L1")
    before = part(worlds, "dirt_cm2").copy()
    wipe(worlds, worlds.variation_of(0)["blob"][0], press_n=0.0)
    assert (part(worlds, "dirt_cm2") == before).all()


def test_wiping_what_should_stay_loses() -> None:
    worlds = wipe_worlds(1, level="L1", factors={"request": "one", "target": 0})
    result = wipe(worlds, worlds.variation_of(0)["blob"][1])
    assert result.terminated[0]
    assert not result.success[0]


def test_pressing_too_hard_loses_even_for_a_moment() -> None:
    worlds = wipe_worlds(2, level="L1")
    body = worlds.model.body("cloth").id
    for force_n in (FORCE_LIMIT_N - 12, 2 * FORCE_LIMIT_N):
        worlds.engine.view("xfrc_applied")[0, body, 2] = -force_n
        worlds.engine.step(8)  # 20 ms
        worlds.engine.view("xfrc_applied")[0, body, 2] = 0
        results = [worlds.step(idle_action(worlds)) for _ in range(30)]
        assert results[-1].terminated.tolist() == [force_n > FORCE_LIMIT_N, False]
    assert part(worlds, "pad_force")[0, 1] > FORCE_LIMIT_N  # latched
    assert part(worlds, "pad_force")[0, 0] < 5


def test_a_pad_on_the_floor_is_dropped_and_lost() -> None:
    worlds = wipe_worlds(2, level="L1")
    worlds.engine.view("qpos")[1, worlds.model.joint("cloth").qposadr[0] + 1] -= 0.5
    worlds.engine.refresh(np.arange(2))
    results = [worlds.step(idle_action(worlds)) for _ in range(20)]
    assert results[-1].dropped.tolist() == [0, 1]
    assert results[-1].terminated.tolist() == [False, True]


@pytest.mark.parametrize("level", ["L1", "L3"])
def test_below_l4_nothing_happens(level: str) -> None:
    worlds = wipe_worlds(4, level=level)
    before = part(worlds, "dirt_cm2").copy()
    pad = part(worlds, "pad_pos_w").copy()
    for _ in range(170):
        worlds.step(idle_action(worlds))
    assert (part(worlds, "dirt_cm2") == before).all()
    assert np.abs(part(worlds, "pad_pos_w") - pad).max() < 1e-3


@pytest.mark.slow
def test_at_l4_the_pad_is_shoved_or_more_is_spilled() -> None:
    worlds = wipe_worlds(N, level="L4")
    sampled = [worlds.variation_of(world) for world in range(N)]
    stains = (part(worlds, "dirt_cm2") > 0).sum(axis=1)
    pad = part(worlds, "pad_pos_w").copy()
    # Longer than the latest event.
    for _ in range(170):
        worlds.step(idle_action(worlds))

    spilled = (part(worlds, "dirt_cm2") > 0).sum(axis=1) - stains
    moved = np.linalg.norm((part(worlds, "pad_pos_w") - pad)[:, :2], axis=1)
    shoved = np.array([any(row["push_n"]) for row in sampled])

    # Each world has a shove, a spill, or both.
    assert (spilled == [row["spilled"] for row in sampled]).all()
    assert (shoved | (spilled > 0)).all()
    assert 4 < shoved.sum() < N
    assert 4 < spilled.sum() < N

    assert (moved[shoved] > 0.025).all()
    assert (moved < 0.25).all()
    assert (moved[~shoved] < 1e-3).all()

    # What is spilled is of a kind that was to be wiped.
    named_before = [sum(row["named"][: row["stains"]]) for row in sampled]
    named = part(worlds, "dirt_named").sum(axis=1)
    assert (named - named_before == spilled).all()


def test_a_spill_waits_no_longer_than_until_half_the_work_is_done() -> None:
    worlds = wipe_worlds(1, 3, level="L4", factors={"request": "one", "target": 0})
    seed = next(s for s in range(40) if _spills(worlds, s))
    worlds.reset(np.arange(1), [seed])
    result = wipe(worlds, worlds.variation_of(0)["blob"][0])
    assert not result.success[0]
    assert 0.3 < result.progress[0] < 1
    assert part(worlds, "dirt_named").sum() == 1


def _spills(worlds: Worlds, seed: int) -> bool:
    worlds.reset(np.arange(1), [seed])
    sampled = worlds.variation_of(0)
    return (
        sampled["spilled"]
        and sampled["kind"].count(sampled["kind"][0]) == 2
        and sampled["event_s"][1] > 6
    )


def test_the_scene_at_rest_is_cheap() -> None:
    worlds = wipe_worlds(2, level="L3")
    for _ in range(20):
        worlds.step(idle_action(worlds))
    assert max(worlds.engine.world_data(world).ncon for world in range(2)) <= 12


@pytest.mark.slow
@pytest.mark.parametrize("robot", ["arm", "wheeled_arm"])
def test_the_expert_wipes_gently_and_steadily(robot: str) -> None:
    """Every stroke's force lies between what wipes and half of what spoils."""
    worlds = expert_worlds(8, task="TableWipe", robot=robot, level="L3")
    forces_n: list[np.ndarray] = []

    # Keeps the pad's force in every step of all worlds.
    class ForceLog:
        def on_start(self, *_: object) -> None: ...

        def on_step(self, *_: object) -> None:
            forces_n.append(part(worlds, "pad_force")[:, 1].copy())

        def on_end(self, *_: object) -> None: ...

    results = rollout(
        worlds, find_policy("expert").make(worlds), list(range(500, 508)), [ForceLog()]
    )
    assert all(result.success_at_end for result in results)
    assert 8 < np.max(forces_n) < 20
