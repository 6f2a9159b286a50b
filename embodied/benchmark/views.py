"""What a report says of results: which cells stand beside each other, which are
compared, and the sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from embodied.benchmark.results import Cell, Condition, Results, compare, rate
from embodied.benchmark.statistics import Comparison, Rate, holm
from embodied.benchmark.timing import CONSTANT

LEVELS = {
    "L1": "the nominal scene, only the start varies",
    "L2": "positions, objects and wording vary; belts run at a steady slow speed",
    "L3": "every factor varies at full width",
    "L4": "every factor varies, and things change within the episode",
}
# colours of policies; the next one is kept for policies that know nothing
PALETTE_SIZE = 5
UNINFORMED = ("random", "hold", "zero")


@dataclass(frozen=True)
class Scene:
    """Cells of one level, split and stage, one per policy: that of the smallest delay
    and fewest drops.
    """

    level: str
    split: str
    stage: str  # of the task, which counts as success; empty: the whole task
    cells: tuple[Cell, ...]

    @property
    def title(self) -> str:
        split = [] if self.split == "train" else [f"held out: {self.split}"]
        return ", ".join(
            [self.level, *split, *([f"stage {self.stage}"] if self.stage else [])]
        )

    @property
    def meaning(self) -> str:
        return LEVELS.get(self.level, "")

    @property
    def same_starts(self) -> bool:
        return len({cell.condition.seeds for cell in self.cells}) == 1


@dataclass(frozen=True)
class Curve:
    """Cells that differ in the planner's delay only, in its order; two or more."""

    cells: tuple[Cell, ...]

    @property
    def label(self) -> str:
        return self.cells[0].label


@dataclass(frozen=True)
class Sweep:
    """The curves of one level, split and stage."""

    level: str
    split: str
    stage: str
    curves: tuple[Curve, ...]

    @property
    def title(self) -> str:
        return Scene(self.level, self.split, self.stage, ()).title


@dataclass(frozen=True)
class Pairing:
    """Two cells on the same seeds. `adjusted_p` is Holm's, over all pairings of the
    report.
    """

    first: Cell
    second: Cell
    comparison: Comparison
    adjusted_p: float


def scenes(results: Results) -> list[Scene]:
    """Levels, splits and stages in the order of their names, the training split first."""
    found = {place_of(cell.condition) for cell in results.cells}
    ordered = sorted(found, key=lambda place: (place[1] != "train", place))
    return [Scene(*place, _gentlest(results, place)) for place in ordered]


def place_of(condition: Condition) -> tuple[str, str, str]:
    """Level, split and stage: what must be the same for cells to be compared."""
    return condition.level, condition.split, condition.stage


def _gentlest(results: Results, place: tuple[str, str, str]) -> tuple[Cell, ...]:
    chosen: dict[str, Cell] = {}
    for cell in results.cells:
        what = cell.condition
        if place_of(what) != place:
            continue
        known = chosen.get(what.policy)
        if known is None or _hardship(what) < _hardship(known.condition):
            chosen[what.policy] = cell
    return tuple(chosen.values())


def _hardship(condition: Condition) -> tuple[bool, float, float, bool]:
    return (
        bool(condition.freeze),
        condition.drop_rate,
        condition.delay_ms,
        condition.latency != CONSTANT,
    )


def sweeps(results: Results) -> list[Sweep]:
    """All curves over the planner's delay, by level, split and stage."""
    groups: dict[Condition, list[Cell]] = {}
    for cell in results.cells:
        if cell.condition.planner_hz is not None:
            alike = replace(cell.condition, compute_ms=0.0, transport_ms=0.0)
            groups.setdefault(alike, []).append(cell)
    by_scene: dict[tuple[str, str, str], list[Curve]] = {}
    for alike, cells in groups.items():
        if len({cell.condition.delay_ms for cell in cells}) > 1:
            curve = Curve(
                tuple(sorted(cells, key=lambda cell: cell.condition.delay_ms))
            )
            by_scene.setdefault(place_of(alike), []).append(curve)
    return [Sweep(*place, tuple(curves)) for place, curves in by_scene.items()]


def pairings(results: Results) -> list[Pairing]:
    """Each policy against each other one in a scene, and each delay against the
    smallest one of its curve.
    """
    wanted: list[tuple[Cell, Cell]] = []
    for scene in scenes(results):
        wanted += [
            (a, b) for i, a in enumerate(scene.cells) for b in scene.cells[i + 1 :]
        ]
    for sweep in sweeps(results):
        wanted += [
            (later, curve.cells[0])
            for curve in sweep.curves
            for later in curve.cells[1:]
        ]
    found = [(a, b, c) for a, b in wanted if (c := compare(a, b))]
    adjusted = holm([c.p_value for _, _, c in found])
    return [Pairing(a, b, c, p) for (a, b, c), p in zip(found, adjusted, strict=True)]


def seeds_to_film(cell: Cell, succeeded: bool, count: int = 4) -> list[int]:
    """The first seeds of a cell that ended well, or badly: to be run again under a film
    hook, with the same outcome.
    """
    return [
        episode.seed for episode in cell.episodes if episode.success_at_end == succeeded
    ][:count]


def colours(results: Results, subject: str) -> dict[str, int]:
    """A colour index for each policy, the same in all plots: 0 for the subject, the
    last one for the uninformed.
    """
    policies = list(dict.fromkeys(cell.condition.policy for cell in results.cells))
    informed = [policy for policy in policies if policy not in UNINFORMED]
    informed.sort(key=lambda policy: policy != subject)
    return {
        **{policy: i % PALETTE_SIZE for i, policy in enumerate(informed)},
        **{policy: PALETTE_SIZE for policy in policies if policy in UNINFORMED},
    }


@dataclass(frozen=True)
class Totals:
    """All cells together."""

    episodes: int
    simulated_s: float
    real_time_factor: float


def totals(results: Results) -> Totals:
    """How much was simulated, and how fast."""
    simulated_s = sum(
        episode.duration_s for cell in results.cells for episode in cell.episodes
    )
    wall_s = sum(cell.wall_s for cell in results.cells)
    return Totals(
        sum(len(cell.episodes) for cell in results.cells),
        simulated_s,
        simulated_s / wall_s if wall_s > 0 else 0.0,
    )


def seeds(results: Results) -> str:
    """The ranges of seeds that the cells used, e.g. "0 to 99, 1000 to 1299"."""
    found = sorted(
        {
            (cell.condition.seeds.start, cell.condition.seeds.stop - 1)
            for cell in results.cells
        }
    )
    return ", ".join(f"{first} to {last}" for first, last in found)


def percent(share: float, episodes: int) -> str:
    """A share with as many digits as so many episodes bear; never 0% or 100% unless it
    is exactly that.
    """
    text = _rounded(share, episodes)
    if text.removesuffix(".0") == "0" and share > 0:
        return f"<{text[:-1]}1%"
    if text.removesuffix(".0") == "100" and share < 1:
        return f">{'99.9' if '.' in text else '99'}%"
    return f"{text}%"


def interval(of: Rate) -> str:
    """The limits of a rate with its digits, e.g. 79-92% (with an en dash)."""
    return f"{_rounded(of.low, of.episodes)}–{_rounded(of.high, of.episodes)}%"  # noqa: RUF001


def _rounded(share: float, episodes: int) -> str:
    return f"{share * 100:.{0 if episodes < 200 else 1}f}"


def subject_of(results: Results, wanted: str) -> str:
    """The policy that a report is about: the wanted one if it was evaluated, else the
    first that knows something.
    """
    policies = [cell.condition.policy for cell in results.cells]
    informed = [policy for policy in policies if policy not in UNINFORMED] or policies
    return wanted if wanted in policies else informed[0]


@dataclass(frozen=True)
class Score:
    """What the subject of a report reached in one scene."""

    scene: Scene
    cell: Cell

    @property
    def share(self) -> str:
        found = rate(self.cell)
        return percent(found.value, found.episodes)

    @property
    def basis(self) -> str:
        """What the share rests on: the interval, the episodes and how late the planner
        was.
        """
        delay_ms = self.cell.condition.delay_ms
        found = rate(self.cell)
        late = f", planner {delay_ms:g} ms late" if delay_ms else ""
        return f"95% interval {interval(found)}, {found.episodes} episodes{late}"


def scores(results: Results, subject: str) -> list[Score]:
    """The subject's cell in each scene that has one."""
    found = [(scene, cell) for scene in scenes(results) for cell in scene.cells]
    return [
        Score(scene, cell) for scene, cell in found if cell.condition.policy == subject
    ]


def headline(results: Results, subject: str = "trained") -> str:
    """One sentence: what the subject scored in each scene, e.g. for the last line of a
    command.
    """
    found = scores(results, subject_of(results, subject))
    parts = [
        f"{s.share}{'' if i else ' of episodes'} at {s.scene.title} ({s.basis})"
        for i, s in enumerate(found)
    ]
    return f"The {found[0].cell.label} policy succeeds in {_listed(parts)}."


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def delay_sentence(curve: Curve) -> str:
    """What the delay does to one policy, with the paired interval of the change."""
    first = curve.cells[0]
    last = curve.cells[-1]
    before = rate(first)
    after = rate(last)
    text = (
        f"{curve.label} goes from {percent(before.value, before.episodes)} at {first.condition.delay_ms:g} ms "
        f"to {percent(after.value, after.episodes)} at {last.condition.delay_ms:g} ms"
    )
    change = compare(last, first)
    return f"{text}, a change of {points(change)}." if change else f"{text}."


def points(change: Comparison) -> str:
    """A difference of rates in percentage points, with its interval."""
    low = signed(change.low)
    high = signed(change.high)
    return f"{signed(change.difference)} points (95% interval {low} to {high})"


def signed(share: float) -> str:
    """A difference of shares in percentage points with its sign."""
    rounded = round(share * 100)
    return f"{rounded:+d}".replace("-", "−") if rounded else "0"  # noqa: RUF001
