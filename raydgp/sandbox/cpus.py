"""The processors that this process may use."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")
TOPOLOGY = Path("/sys/devices/system/cpu")
CPUINFO = Path("/proc/cpuinfo")


def own_cpus() -> list[int]:
    """Returns the numbers of the processors that this process may run on, as many as its container's quota pays for."""
    return _paid_for(sorted(os.sched_getaffinity(0)))


def own_cores() -> list[int]:
    """Returns one processor of each core: a second thread on a core's one set of multipliers gains nothing."""
    first: dict[str, int] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        siblings = TOPOLOGY / f"cpu{cpu}/topology/thread_siblings_list"
        first.setdefault(siblings.read_text() if siblings.exists() else str(cpu), cpu)
    return _paid_for(list(first.values()))


def core_groups(size: int) -> list[list[int]]:
    """Shares `own_cores` out in groups of so many, none of them over two NUMA nodes unless a node has too few.

    What is left over belongs to no group; without any, there are fewer cores than that.
    """
    cores, nodes = own_cores(), dict[int, list[int]]()
    for cpu in cores:
        near = next(iter(sorted((TOPOLOGY / f"cpu{cpu}").glob("node[0-9]*"))), None)
        nodes.setdefault(int(near.name[4:]) if near else 0, []).append(cpu)
    shared = [each for _, near in sorted(nodes.items()) for each in _chopped(near, size)]
    return shared or _chopped(cores, size)


def _chopped(cpus: list[int], size: int) -> list[list[int]]:
    return [cpus[begin : begin + size] for begin in range(0, len(cpus) - size + 1, size)]


def cpu_name() -> str:
    """Returns the processor's name; the machine's where the system has none for it."""
    return _cpuinfo("model name") or platform.machine()


def cpu_flags() -> frozenset[str]:
    """The names that Linux gives to the processor's instruction sets, such as `avx2`; empty where it does not tell."""
    return frozenset(_cpuinfo("flags|Features").split())  # Arm has the latter


def cache_bytes() -> tuple[int, ...]:
    """Sizes of a core's first, second, ... level of data cache, in bytes; empty where the system does not tell."""
    found: dict[int, int] = {}
    for cache in sorted(TOPOLOGY.glob("cpu0/cache/index*")):
        level, kind, size = ((cache / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction" and size.endswith("K"):
            found[int(level)] = 1024 * int(size[:-1])
    return tuple(found[level] for level in sorted(found))


def _paid_for(cpus: list[int]) -> list[int]:
    quota, period = QUOTA.read_text().split() if QUOTA.exists() else ("max", "")
    return cpus if quota == "max" else cpus[: max(1, int(quota) // int(period))]


def thread_environment(threads: int) -> dict[str, str]:
    """Returns the variables that give TVM so many threads in a new process, and other libraries one."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {"TVM_NUM_THREADS": str(threads), **one}


def _cpuinfo(field: str) -> str:
    """A field of the first processor in /proc/cpuinfo; empty where there is no such field or, beside Linux, no file."""
    found = re.search(rf"^(?:{field})\s*: (.+)$", CPUINFO.read_text(), re.MULTILINE) if CPUINFO.exists() else None
    return found[1].strip() if found else ""
