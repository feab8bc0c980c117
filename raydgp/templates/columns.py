"""What a configuration means for the machine, beside its knobs: sizes that compare across layers.

The papers' models see the knobs alone, and a tile of 7 x 4 means one thing in one layer and another in the next. These
columns, all positive, say what is common to all layers: registers and cache that a tile takes, how evenly the threads
share the work, how much of it is waste, and the shape of the layer itself. Ours, not the papers'; `dgp+` learns from
them. Each template makes its own (`features` of `raydgp.templates.register`), and the operator tells the shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raydgp.space import ConfigSpace
from raydgp.templates.registry import entry_of
from raydgp.workloads import Fused


def machine_features(space: ConfigSpace, indices: ArrayLike) -> tuple[list[str], NDArray[np.float32]]:
    """Features with these columns after them: int64[n] -> names [d], float32[n, d].

    The names are the same for all spaces of a template. A template without columns of its own adds the shape alone.
    """
    columns = space.columns(indices)
    n = len(next(iter(columns.values())))
    workload = space.workload.anchor if isinstance(space.workload, Fused) else space.workload
    entry = entry_of(space.template)
    derived = entry.features(workload, columns) if entry and entry.features else {}
    added = {name: np.full(n, float(value)) for name, value in workload.sizes().items()} | derived
    names = [*space.feature_names, *added]
    return names, np.column_stack([space.features(indices), *added.values()]).astype(np.float32)
