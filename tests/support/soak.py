"""Many configurations on one supervisor, some of which crash, hang or lie: what they leave behind."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import psutil

from raydgp.records import Status
from raydgp.run.supervisor import Supervisor
from raydgp.settings import MeasureSettings
from tests.support.hostile_kernels import HANG, SPACE, hostile

SETTINGS = MeasureSettings(min_repeat_ms=0, repeat=1, run_timeout_s=2.0)
KERNELS = {
    "right": ("out[0] = right;", 0.88, Status.OK),
    "segfaults": ("*(volatile int *)8 = 1;", 0.02, Status.RUN_ERROR),
    "aborts": ("abort();", 0.02, Status.RUN_ERROR),
    "exits": ("_exit(0);", 0.01, Status.RUN_ERROR),
    "hangs": (HANG, 0.02, Status.RUN_TIMEOUT),
    "lies": ("out[0] = 2 * right;", 0.05, Status.WRONG_ANSWER),
}  # body, share, and what it must end as


@dataclass(frozen=True)
class Left:
    """What this process holds and what it has left: open files, children, memory, temporary files."""

    files: int
    children: int
    resident_mb: float
    temporary: int

    @classmethod
    def now(cls, folder: Path) -> Left:
        process = psutil.Process()
        alive = [child for child in process.children() if child.status() != psutil.STATUS_ZOMBIE]
        resident_mb = process.memory_info().rss / 1e6
        return cls(process.num_fds(), len(alive), resident_mb, len(list(folder.iterdir())))


@dataclass(frozen=True)
class Soak:
    """How a soak ended.

    Attributes:
        wrong: (kernel, status) of configurations that ended as another thing than they are.
        counts: kernels by name.
        early, late: what was held after the first tenth and at the end.
    """

    wrong: list[tuple[str, str]]
    counts: Counter[str]
    early: Left
    late: Left


def soak(count: int, seed: int, told: Callable[[int], None] = lambda done: None) -> Soak:
    """Runs so many configurations in an order drawn by the seed."""
    names, shares = list(KERNELS), [share for _, share, _ in KERNELS.values()]
    libraries = {name: hostile(body) for name, (body, _, _) in KERNELS.items()}
    order = np.random.default_rng(seed).choice(len(names), count, p=shares)
    wrong: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as made, mock.patch.object(tempfile, "tempdir", made):
        folder = Path(made)
        with Supervisor(threads=1) as supervisor:
            early = Left.now(folder)
            for done, number in enumerate(order):
                name = names[number]
                result = supervisor.run(SPACE, SPACE.default, libraries[name], SETTINGS)
                if result.status is not KERNELS[name][2]:
                    wrong.append((name, f"{result.status}: {result.error}"))
                if done == count // 10:
                    early = Left.now(folder)
                told(done)
            late = Left.now(folder)
    return Soak(wrong, Counter(names[number] for number in order), early, late)
