"""Where a call of a deployed model spends its time: its kernels, each against what the machine could do of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from raydgp.models.lowering import Lowered
from raydgp.models.profiling import BUILTIN, Spent, copies
from raydgp.rivals.profiler import profiled
from raydgp.workloads import TracedKernel

RUNS = 20  # calls of the model
TEMPLATE, TRACED, FALLBACK, COPY = "template", "traced space", "as TVM makes it", "copy"
BESIDE, MACHINE = "beside TVM", "virtual machine"


@dataclass(frozen=True)
class Row:
    """A kernel in one call of the model.

    Attributes:
        by: whence its schedule comes; `COPY` of what only moves numbers, `MACHINE` of what is no kernel.
        calls: of it.
        ms: of all of them.
        share: of the whole call, 0 to 1.
        gflops: 10^9 floating-point operations a second; None where they are not counted.
        gb_s: 10^9 bytes a second, of the arrays that it reads and writes; None where they are not known.
        of_bound: the time that the machine's arithmetic or memory needs for it at least, whichever is longer, over the
            time that it took (the roofline of Williams et al. 2009); above 1 where arrays come from a cache; None where
            the machine's bounds are not known.
    """

    name: str
    by: str
    calls: int
    ms: float
    share: float
    gflops: float | None
    gb_s: float | None
    of_bound: float | None


@dataclass(frozen=True)
class Profile:
    """A model's kernels, the one that takes longest first.

    Attributes:
        peak_gflops: of the machine's arithmetic; None where it was not measured.
        gb_s: of its memory; the same.
    """

    kernels: list[Row]
    peak_gflops: float | None
    gb_s: float | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def profile_of(folder: Path, lowered: Lowered, peak_gflops: float | None, threads: int) -> Profile:
    """Profiles the deployed model of a folder.

    Args:
        lowered: the model as it was compiled.
        peak_gflops: of the machine's arithmetic, if it is known.
        threads: of the host.

    Raises:
        RaydgpError: the model does not run.
    """
    spent, gb_s = profiled(folder, RUNS, threads)
    return Profile(rows(spent, lowered, peak_gflops, gb_s), peak_gflops, gb_s)


def rows(spent: Sequence[Spent], lowered: Lowered, peak_gflops: float | None, gb_s: float | None) -> list[Row]:
    """What was measured beside what the kernels are, the longest first."""
    flops = {task.name: task.workload.flops for task in lowered.tasks}
    kinds = _kinds(lowered)
    total_s = sum(part.seconds for part in spent)
    found = []
    for part in spent:
        by, seconds = kinds.get(part.name, MACHINE if part.name == BUILTIN else BESIDE), max(part.seconds, 1e-9)
        work = part.calls * flops[part.name] if by in (TEMPLATE, TRACED) else 0
        moved = part.moved if by not in (MACHINE, BESIDE) else 0
        least_s = max(work / peak_gflops, moved / gb_s) / 1e9 if peak_gflops and gb_s and moved else None
        found.append(
            Row(
                name=MACHINE if by == MACHINE else part.name,
                by=by,
                calls=part.calls,
                ms=1e3 * part.seconds,
                share=part.seconds / total_s if total_s else 0.0,
                gflops=work / seconds / 1e9 if work else None,
                gb_s=moved / seconds / 1e9 if moved else None,
                of_bound=least_s / seconds if least_s else None,
            )
        )
    return sorted(found, key=lambda row: -row.ms)


def _kinds(lowered: Lowered) -> Mapping[str, str]:
    kinds = dict.fromkeys(lowered.unscheduled, FALLBACK)
    for task in lowered.tasks:
        kinds[task.name] = TRACED if isinstance(task.workload, TracedKernel) else TEMPLATE
    return kinds | dict.fromkeys(copies(lowered.module), COPY)
