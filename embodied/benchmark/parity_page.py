"""The comparison of both engines as a JSON file, and as a page for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from embodied.benchmark import views
from embodied.benchmark.parity import EXPERT, MOTION_S, Motion, Parity, Performer, Work
from embodied.benchmark.statistics import Rate
from embodied.benchmark.survey import Pair, Subject
from embodied.errors import EmbodiedError
from embodied.files import replace_text

FORMAT = "embodied-parity"
SCHEMA_VERSION = 1
TITLE = """# One ground, two engines

How well the engine `warp` (a GPU's, single precision) agrees with the engine `cpu` (MuJoCo's own, double precision).
Written by `embodied parity`: do not edit. A cell that is empty was not measured. {json} has the seeds whose outcomes
differ."""
MOTION = f"""## Motion without a touch

The same starts (L3) and small actions on both for {MOTION_S:.0f} s: how far they are apart at most."""
WORK = """## Work with contacts

The same expert over the same starts on both engines: success at the end with its 95% Wilson interval, how many starts
end well on one engine alone, the exact McNemar test of that, and mean progress at the end. Rounding decides single
contacts, so that single episodes may differ; the rates may not."""
OTHERS = """## Other policies

The same of other policies, up to a stage of the task where one is named."""
WORK_HEAD = (
    "level",
    "starts",
    "cpu",
    "warp",
    "only cpu",
    "only warp",
    "p",
    "progress",
    "faults",
    "device",
)


def write_parity(path: Path, parity: Parity) -> None:
    """Replaces the file in one step."""
    content = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "commands": [
            {"day": day, "command": command} for day, command in parity.commands
        ],
        "host": dict(parity.host),
        "motions": [
            asdict(finding)
            for finding in parity.findings
            if isinstance(finding, Motion)
        ],
        "works": [
            asdict(finding) for finding in parity.findings if isinstance(finding, Work)
        ],
    }
    replace_text(path, json.dumps(content, indent=1) + "\n")


def read_parity(path: Path) -> Parity:
    """What is in a file. Raises EmbodiedError where it is no such file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["schema_version"]) != (FORMAT, SCHEMA_VERSION):
            raise ValueError(
                f"its format is {content['format']!r} {content['schema_version']!r}"
            )
        commands = tuple((made["day"], made["command"]) for made in content["commands"])
        motions = [
            Motion(**{**row, "subject": Subject(**row["subject"])})
            for row in content["motions"]
        ]
        return Parity(
            commands,
            content["host"],
            (*motions, *(_work(row) for row in content["works"])),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EmbodiedError(
            f"{path} is no comparison that this version reads: {error!r}"
        ) from error


def _work(row: Mapping[str, Any]) -> Work:
    rates = {name: Rate(**row[name]) for name in ("on_cpu", "on_warp")}
    seeds = {name: tuple(row[name]) for name in ("only_cpu", "only_warp")}
    # earlier versions compared by experts alone
    performer = Performer(**row.get("performer", {}))
    return Work(
        **{
            **row,
            "subject": Subject(**row["subject"]),
            **rates,
            **seeds,
            "performer": performer,
        }
    )


def parity_page(parity: Parity, pairs: Sequence[Pair], json_name: str) -> str:
    """The page, with a line for each of `pairs`."""
    motions = {f.subject.pair: f for f in parity.findings if isinstance(f, Motion)}
    works = [f for f in parity.findings if isinstance(f, Work)]
    experts = {f.subject.pair: f for f in works if f.performer == EXPERT}
    others = [f for f in works if f.performer != EXPERT]
    parts = [TITLE.format(json=f"`{json_name}`"), _origin(parity)]
    head = ["task", "robot", "tool, mm", "joints, mrad or mm", "reward", "device"]
    parts += [
        MOTION,
        _table(head, [[*pair, *_motion(motions.get(pair))] for pair in pairs]),
    ]
    parts += [
        WORK,
        _table(
            ["task", "robot", *WORK_HEAD],
            [[*pair, *_row(experts.get(pair))] for pair in pairs],
        ),
    ]
    if others:
        rows = [
            [
                *f.subject.pair,
                f.performer.policy,
                f.performer.stage or "whole task",
                *_row(f),
            ]
            for f in others
        ]
        parts += [
            OTHERS,
            _table(["task", "robot", "policy", "stage", *WORK_HEAD], rows),
        ]
    return "\n\n".join(parts) + "\n"


def _origin(parity: Parity) -> str:
    lines = "\n".join(f"{command}  # {day}" for day, command in parity.commands)
    kinds = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in f.subject.versions.items())
        for f in parity.findings
    )
    host = parity.host
    machine = (
        f"{host['cores']} cores of {host['processor']}, {host['system']}"
        if host
        else "no machine"
    )
    return f"```bash\n{lines}\n```\n\n{'; '.join(kinds)}. {machine}."


def _motion(found: Motion | None) -> list[str]:
    if found is None:
        return [""] * 4
    return [
        f"{1e3 * found.tcp_m:.4f}",
        f"{1e3 * found.joint:.4f}",
        f"{found.reward:.0e}",
        found.device,
    ]


def _row(found: Work | None) -> list[str]:
    if found is None:
        return [""] * 10
    rates = [
        f"{views.percent(r.value, r.episodes)} ({views.interval(r)})"
        for r in (found.on_cpu, found.on_warp)
    ]
    alone = [
        str(len(found.only_cpu)),
        str(len(found.only_warp)),
        f"{found.comparison().p_value:.2g}",
    ]
    faults = (
        ", ".join(f"{count} {name}" for name, count in found.faults.items()) or "none"
    )
    progress = f"{found.progress_cpu:.3f}, {found.progress_warp:.3f}"
    return [
        found.level,
        str(found.on_cpu.episodes),
        *rates,
        *alone,
        progress,
        faults,
        found.device,
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
