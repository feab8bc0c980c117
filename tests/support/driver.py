"""A driver of its own, for tests that stop it: searches two layers with kernels of 30 ms.

python -m tests.support.driver JOURNAL
"""

import sys
import time
from pathlib import Path

from raydgp.cluster import Cluster
from raydgp.records import read
from raydgp.settings import TuneSettings
from raydgp.workloads import Conv2d, Task
from tests.support import fakes

LAYERS = [Task(f"layer{i}", Conv2d(n=1, ci=16, h=8 + i, w=8, co=16, kh=3, kw=3), 1) for i in range(2)]
SETTINGS = TuneSettings(model="resnet18", strategy="genetic", trials=40, batch=8, run="test")


def nap(index: int) -> None:
    time.sleep(0.03)


if __name__ == "__main__":
    journal = Path(sys.argv[1])
    before = list(read(journal))
    try:
        with Cluster(SETTINGS, journal, fakes.backend(run=nap)) as cluster:
            cluster.tune(LAYERS, before)
    except KeyboardInterrupt:
        sys.exit(130)
