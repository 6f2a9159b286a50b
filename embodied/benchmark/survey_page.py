"""A survey as a page for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from embodied.benchmark import views
from embodied.benchmark.survey import SURVEYED_WORLDS, Cost, Pair, Success, Survey

TITLE = """# The ground, measured

What the experts reach and what each task costs, on one machine. Written by `embodied survey`: do not edit. The seeds
that failed are in `{json}`; `embodied view TASK --robot ROBOT --level LEVEL --seed SEED` shows one of them."""
SUCCESSES = """## How often the experts succeed

Success at the end with its 95% Wilson interval, training split, 8 plans a second that arrive at once; {episodes}.
Time: simulated seconds until success at {level}, median and quartiles."""
COSTS = f"""## What each task costs

Medians, on one thread, the robot at rest: a physics step of 2.5 ms; contacts; simulated seconds a second of
{SURVEYED_WORLDS} worlds at 20 Hz; pictures a second of the task's cameras at 96x96 pixels. At work: simulated seconds
a second of all processes together while the experts were measured, with controllers at 200 Hz."""


def survey_page(survey: Survey, pairs: Sequence[Pair], json_name: str) -> str:
    """The page, with a line for each of `pairs` that the survey knows."""
    successes = {
        (*f.subject.pair, f.level): f for f in survey.findings if isinstance(f, Success)
    }
    costs = {f.subject.pair: f for f in survey.findings if isinstance(f, Cost)}
    parts = [TITLE.format(json=json_name), _origin(survey)]
    if successes:
        levels = sorted({level for _, _, level in successes})
        lead = SUCCESSES.format(
            episodes=_episodes(list(successes.values())), level=levels[0]
        )
        parts += [lead, _success_table(successes, levels, pairs)]
    if costs:
        parts += [COSTS, _cost_table(costs, successes, pairs)]
    return "\n\n".join(parts) + "\n"


def _origin(survey: Survey) -> str:
    lines = "\n".join(f"{command}  # {day}" for day, command in survey.commands)
    kinds = dict.fromkeys(
        ", ".join(
            f"{name} {version}" for name, version in finding.subject.versions.items()
        )
        for finding in survey.findings
    )
    host = survey.host
    machine = (
        f"{host['cores']} cores of {host['processor']}, {host['system']}"
        if host
        else "no machine"
    )
    return f"```bash\n{lines}\n```\n\n{'; '.join(kinds)}. {machine}."


def _episodes(successes: Sequence[Success]) -> str:
    asked = {(s.first_seed, s.rate.episodes) for s in successes}
    if len(asked) > 1:
        return "with the episodes of each cell after its interval"
    first, count = asked.pop()
    return f"{count} episodes each, seeds {first} to {first + count - 1}"


def _success_table(
    found: Mapping[tuple[str, str, str], Success],
    levels: Sequence[str],
    pairs: Sequence[Pair],
) -> str:
    uneven = len({s.rate.episodes for s in found.values()}) > 1
    rows = []
    for pair in pairs:
        cells = [found.get((*pair, level)) for level in levels]
        if any(cells):
            shown = [_rate(cell, uneven) if cell else "" for cell in cells]
            rows.append([*pair, *shown, _time(cells[0]) if cells[0] else ""])
    return _table(["task", "robot", *levels, "time, s"], rows)


def _rate(found: Success, uneven: bool) -> str:
    episodes = f" of {found.rate.episodes}" if uneven else ""
    return f"{views.percent(found.rate.value, found.rate.episodes)} ({views.interval(found.rate)}){episodes}"


def _time(found: Success) -> str:
    if found.quartiles_s is None:
        return ""
    lower, middle, upper = found.quartiles_s
    return f"{middle:.1f} ({lower:.1f} to {upper:.1f})"


def _cost_table(
    costs: Mapping[Pair, Cost],
    successes: Mapping[tuple[str, str, str], Success],
    pairs: Sequence[Pair],
) -> str:
    rows = []
    for pair in pairs:
        if pair in costs:
            cost = costs[pair]
            work = [
                s.real_time_factor for key, s in successes.items() if key[:2] == pair
            ]
            speeds = [
                f"{cost.real_time_factor:.0f} x",
                f"{cost.frames_per_s:.0f}",
                f"{max(work):.0f} x" if work else "",
            ]
            rows.append([*pair, f"{cost.step_us:.1f} us", str(cost.contacts), *speeds])
    head = [
        "task",
        "robot",
        "physics step",
        "contacts",
        f"{SURVEYED_WORLDS} worlds",
        "pictures",
        "at work",
    ]
    return _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
