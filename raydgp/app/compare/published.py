"""What the papers report of the strategies, to stand beside ours. It is of other hardware and other versions of TVM."""

from __future__ import annotations

from typing import Any

import pandas as pd

_HOUR_S = 3600.0
# Table 1 of the deep-GP paper (ICCV 2021; its poster): network, tasks, AutoTVM's hours and ms, DGP's hours and ms, and
# the hypervolume of unrounded figures. Chameleon has reductions against its own AutoTVM alone.
_ICCV_2021 = [
    ("mobilenet_v1", 19, 31.14, 0.8980, 10.06, 0.7664, 9.9168),
    ("alexnet", 5, 6.28, 1.3467, 2.14, 1.2537, 4.5573),
    ("vgg16", 9, 19.92, 6.7847, 4.61, 6.4972, 3.2556),
    ("resnet18", 12, 32.04, 1.8248, 9.47, 1.7305, 3.6423),
]
# Table I of the paper of BTED and BAO (DATE 2021): network, then latency in ms and its variance of AutoTVM, BTED, and
# BTED with BAO.
_DATE_2021 = [
    ("alexnet", 1.3639, 0.1738, 1.3373, 0.2246, 1.3304, 0.0711),
    ("resnet18", 1.8323, 0.4651, 1.7935, 0.4487, 1.7519, 0.3848),
    ("vgg16", 6.5176, 2.3834, 5.6808, 0.6574, 5.6183, 0.3617),
    ("mobilenet_v1", 1.0597, 0.9290, 0.8738, 0.5398, 0.7621, 0.0674),
    ("squeezenet_v1_1", 0.8697, 1.1208, 0.7436, 0.5533, 0.6920, 0.1709),
]


def published() -> pd.DataFrame:
    """A row a network and strategy of each paper, `autotvm` being the paper's own baseline.

    Returns:
        source, model, strategy, tasks, search_s, latency_ms, variance_ms2, hypervolume; NaN where a paper says nothing.
    """
    rows: list[dict[str, Any]] = []
    for model, tasks, autotvm_h, autotvm_ms, dgp_h, dgp_ms, hypervolume in _ICCV_2021:
        shared = {"source": "ICCV 2021", "model": model, "tasks": tasks}
        rows.append(shared | {"strategy": "autotvm", "search_s": _HOUR_S * autotvm_h, "latency_ms": autotvm_ms})
        ours = {"strategy": "dgp", "search_s": _HOUR_S * dgp_h, "latency_ms": dgp_ms, "hypervolume": hypervolume}
        rows.append(shared | ours)
    for model, *figures in _DATE_2021:
        shared = {"source": "DATE 2021", "model": model}
        for strategy, latency_ms, variance in zip(("autotvm", "bted", "bao"), figures[::2], figures[1::2], strict=True):
            rows.append(shared | {"strategy": strategy, "latency_ms": latency_ms, "variance_ms2": variance})
    return pd.DataFrame(rows).assign(tasks=lambda table: table["tasks"].astype("Int64"))
