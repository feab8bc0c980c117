"""The processors that this process may use, and how a child is bound to some of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

_ONE_PROCESSOR_A_THREAD = -2  # tvm::runtime::threading::ThreadGroup::kSpecifyOneCorePerThread
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_TOPOLOGY = Path("/sys/devices/system/cpu")


def own_cpus() -> list[int]:
    """Numbers of the processors this process may run on, as many as its container's quota pays for."""
    return _paid_for(sorted(os.sched_getaffinity(0)))


def own_cores() -> list[int]:
    """The same with one processor of each core: a second thread on a core's one set of multipliers gains nothing."""
    first: dict[str, int] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        siblings = _TOPOLOGY / f"cpu{cpu}/topology/thread_siblings_list"
        first.setdefault(siblings.read_text() if siblings.exists() else str(cpu), cpu)
    return _paid_for(list(first.values()))


def _paid_for(cpus: list[int]) -> list[int]:
    quota, period = _QUOTA.read_text().split() if _QUOTA.exists() else ("max", "")
    return cpus if quota == "max" else cpus[: max(1, int(quota) // int(period))]


def thread_environment(threads: int) -> dict[str, str]:
    """What gives TVM so many threads in a new process, and other libraries one."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {"TVM_NUM_THREADS": str(threads), **one}


def pin_threads(cpus: Sequence[int]) -> None:
    """Binds this process's TVM threads, one to a processor, and with them the calling thread, which is the first.

    By itself TVM binds them to processors 0, 1, ... whatever this process is allowed, and not the first.
    """
    import tvm

    tvm.get_global_func("runtime.config_threadpool")(_ONE_PROCESSOR_A_THREAD, len(cpus), [str(cpu) for cpu in cpus])
    os.sched_setaffinity(0, cpus[:1])
