"""An imported model run as it is, to be compared with its own framework before anything of it is tuned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax

Array = NDArray[Any]


def runnable(module: tvm.IRModule) -> Any:
    """A Relax module compiled for this processor in little time: unscheduled, with LLVM's cheap optimisations.

    Returns:
        A function of arrays that gives the outputs, flat.
    """
    target = tvm.target.Target({"kind": "llvm", "opt-level": 1})
    machine = relax.VirtualMachine(tvm.compile(module, target=target), tvm.cpu())

    def run(inputs: Sequence[Array]) -> list[Array]:
        out = machine["main"](*(tvm.runtime.tensor(np.array(array, order="C")) for array in inputs))
        return list(_flat(out))

    return run


def _flat(out: Any) -> Iterable[Array]:
    if isinstance(out, tvm.runtime.Tensor):
        yield out.numpy()
    else:
        for part in out:
            yield from _flat(part)
