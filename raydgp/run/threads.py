"""TVM's threads, bound to processors."""

from __future__ import annotations

import os
from collections.abc import Sequence

import tvm

_ONE_PROCESSOR_A_THREAD = -2  # tvm::runtime::threading::ThreadGroup::kSpecifyOneCorePerThread


def pin_threads(cpus: Sequence[int]) -> None:
    """Binds this process's TVM threads, one to a processor, and with them the calling thread, which is the first.

    By itself TVM binds them to processors 0, 1, ... whatever this process is allowed, and not the first.
    """
    tvm.get_global_func("runtime.config_threadpool")(_ONE_PROCESSOR_A_THREAD, len(cpus), [str(cpu) for cpu in cpus])
    os.sched_setaffinity(0, cpus[:1])
