"""Auditing a file: each episode, and the coverage of all episodes together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py

from embodied.datasets.audit.context import Context, Judgement
from embodied.datasets.audit.diversity import Coverage, find_gaps, range_coverage
from embodied.datasets.audit.facts import (
    EpisodeSummary,
    episode_summary,
    set_facts,
)
from embodied.datasets.audit.findings import (
    VERDICTS,
    EpisodeAudit,
    Finding,
    Verdict,
    by_severity,
)
from embodied.datasets.audit.judging import judge
from embodied.datasets.audit.source import Source, file_source
from embodied.datasets.audit.table import CHECKS
from embodied.datasets.audit.thresholds import THRESHOLDS, Thresholds
from embodied.datasets.audit.view import View, read_view
from embodied.datasets.guarded import damage_named, own_group
from embodied.datasets.h5_files import open_to_read
from embodied.datasets.opening import may_be_dataset, open_file, read_header
from embodied.datasets.schema import H5, DatasetError


@dataclass(frozen=True)
class Audit:
    """The audit of a dataset.

    Attributes:
        path: the path of the dataset.
        file: the HDF5 file that was read; another one than `path` where that is a folder.
        task: the task's name; "" for a file from elsewhere.
        robot: the robot's name; "" for a file from elsewhere.
        episodes: the episodes, in the order of their numbers.
        findings: the findings on the dataset as a whole, which affect no episode's
            verdict.
        coverage: how much of each variable's range the episodes cover.
        summaries: the features by which the episodes are compared.
        not_judged: the number of episodes that were not judged by a replay, by reason.
    """

    path: Path
    file: Path
    task: str
    robot: str
    episodes: tuple[EpisodeAudit, ...]
    findings: tuple[Finding, ...]
    coverage: tuple[Coverage, ...]
    summaries: tuple[EpisodeSummary, ...]
    not_judged: Mapping[str, int]

    def demos(self, verdict: Verdict) -> list[str]:
        """Returns the names of the episodes with a verdict."""
        return [episode.demo for episode in self.episodes if episode.verdict == verdict]

    @property
    def counts(self) -> dict[Verdict, int]:
        """The number of episodes with each verdict."""
        return {verdict: len(self.demos(verdict)) for verdict in VERDICTS}


def audit(
    path: Path,
    limits: Thresholds = THRESHOLDS,
    replays: bool = True,
    on_replayed: Callable[[int], None] | None = None,
) -> Audit:
    """Returns the audit of a file.

    Args:
        path: the path of a dataset of ours, or of a robomimic file from elsewhere.
        limits: the thresholds of the checks.
        replays: whether to judge success and instruction by replaying episodes, if a
            replay is possible.
        on_replayed: a function that is called with the number of episodes replayed
            since the last call.

    Raises:
        DatasetError: the file cannot be read, or is of neither kind.
    """
    with opened(path) as (file, source):
        demos = {name: file["data"][name] for name in episode_names(file)}
        summaries = [_summary(demo, source) for demo in demos.values()]
        facts = set_facts(summaries, limits.twin_distance)

        # judge by a replay; for episodes without a replay, keep the reason
        judgements: dict[str, Judgement] = {}
        reason = "no replay was asked for" if not replays else ""
        if source.header is None:
            reason = "the file is from elsewhere"
        reasons = dict.fromkeys(demos, reason)
        if source.header is not None and not reason and demos:
            judgements, reasons = judge(
                source.header, demos, on_replayed or (lambda count: None)
            )

        # compare each episode with the statistics over all episodes
        context = Context(facts, limits, judgements)
        episodes = [
            _audit_episode(read_view(demo, source), context) for demo in demos.values()
        ]

    header = source.header
    metadata = header.metadata if header else {}
    coverage = range_coverage(header, summaries)
    return Audit(
        path=path,
        file=path,
        task=metadata.get("task", ""),
        robot=metadata.get("robot", ""),
        episodes=tuple(episodes),
        findings=tuple(find_gaps(coverage, facts, limits)),
        coverage=tuple(coverage),
        summaries=tuple(summaries),
        not_judged=Counter(reasons.values()),
    )


def check_episode(view: View, context: Context) -> list[Finding]:
    """Returns the findings of all checks for an episode."""
    findings = []
    for check in CHECKS:
        findings += check.find(view, context)
    return findings


@contextmanager
def opened(path: Path) -> Iterator[tuple[H5, Source]]:
    """Yields an open file, and the properties that all its episodes share.

    Raises:
        DatasetError: the file is neither a dataset of ours nor a robomimic file.
    """
    # for a path that is no HDF5 file, `open_file` raises the error that says so
    if may_be_dataset(path) or not path.is_file() or not h5py.is_hdf5(path):
        with open_file(path) as file:
            yield file, file_source(file, read_header(file))
        return

    # an HDF5 file that is not ours must have robomimic's groups
    with open_to_read(path, is_foreign=True) as file:
        if "data" not in file or not episode_names(file):
            raise DatasetError(
                f"{path} is neither a dataset of ours nor a robomimic file, which has "
                f"/data/demo_0: it holds {sorted(file)[:8]}"
            )
        with damage_named(path):
            source = file_source(file, None)
        yield file, source


def episode_names(file: H5) -> list[str]:
    """Returns the names of the demos of a file, in the order of their numbers."""
    with damage_named(file, "data"):
        data = file["data"]
        names = [name for name in data if name.removeprefix("demo_").isdecimal()]
        names = [name for name in names if own_group(data, name) is not None]
    return sorted(names, key=lambda name: int(name.removeprefix("demo_")))


def _summary(demo: H5, source: Source) -> EpisodeSummary:
    """Returns the features by which an episode is compared with the others."""
    return episode_summary(read_view(demo, source, images=False), demo)


def _audit_episode(view: View, context: Context) -> EpisodeAudit:
    """Returns the audit of one episode, with the findings of all checks."""
    meta = view.meta
    return EpisodeAudit(
        demo=view.demo,
        seed=meta.seed if meta else None,
        success=meta.success if meta else None,
        duration_s=view.duration_s,
        instruction=view.instruction,
        findings=by_severity(check_episode(view, context)),
    )
