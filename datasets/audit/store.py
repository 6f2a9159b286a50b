"""Storing an audit: as JSON beside its dataset, or as masks in a copy of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from embodied import files
from embodied.datasets.audit.findings import VERDICTS, Finding
from embodied.datasets.audit.run import Audit, opened
from embodied.datasets.audit.thresholds import THRESHOLDS, Thresholds
from embodied.datasets.h5_files import new_file
from embodied.datasets.index.seal import seal
from embodied.datasets.storage import write_mask
from embodied.datasets.subsets import require_new

MASK_PREFIX = "audit_"
SUFFIX = ".audit.json"


def verdict_masks(audit: Audit) -> dict[str, list[str]]:
    """Returns name of a verdict's mask -> demos with the verdict."""
    return {
        f"{MASK_PREFIX}{verdict.lower()}": audit.demos(verdict) for verdict in VERDICTS
    }


def json_path(path: Path) -> Path:
    """Returns the path at which the audit of a dataset is stored as JSON."""
    # the name of a folder such as `.` is known from its whole path only
    whole = path.absolute()
    return whole.with_name(f"{whole.name}{SUFFIX}")


def as_json(audit: Audit, limits: Thresholds = THRESHOLDS) -> dict[str, Any]:
    """Returns an audit as plain data for programs."""
    episodes = []
    for episode in audit.episodes:
        # `asdict` gives the fields, to which the property `verdict` is added
        episodes.append(
            {
                **asdict(episode),
                "verdict": episode.verdict,
                "findings": _findings_as_json(episode.findings),
            }
        )

    return {
        "path": str(audit.path),
        "task": audit.task,
        "robot": audit.robot,
        "counts": audit.counts,
        "masks": verdict_masks(audit),
        "episodes": episodes,
        "findings": _findings_as_json(audit.findings),
        "coverage": [asdict(coverage) for coverage in audit.coverage],
        # "" stands for the episodes that a replay judged
        "not_judged": {
            reason: count for reason, count in audit.not_judged.items() if reason
        },
        "thresholds": asdict(limits),
    }


def write_json(audit: Audit, limits: Thresholds = THRESHOLDS) -> Path:
    """Writes an audit beside its dataset; returns the path."""
    path = json_path(audit.path)
    files.replace_text(path, json.dumps(as_json(audit, limits), indent=1))
    return path


def write_masked_copy(audit: Audit, target: Path, overwrite: bool = False) -> None:
    """Copies a dataset, and adds a mask for each verdict.

    Raises:
        DatasetError: `target` exists and `overwrite` is False, or `target` is the audited
            dataset.
        WriteError: `target` cannot be written; it is left as it was.
    """
    require_new([target], overwrite, audit.path)
    temporary = target.with_name(f"{target.name}.writing")
    with opened(audit.file) as (source, _), new_file(target, temporary, seal) as new:
        for name, value in source.attrs.items():
            new.h5.attrs[name] = value
        for name in source:
            source.copy(name, new.h5)
            new.check()

        for mask, demos in verdict_masks(audit).items():
            write_mask(new.h5, mask, demos)


def _findings_as_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Returns findings as JSON values."""
    return [asdict(finding) for finding in findings]
