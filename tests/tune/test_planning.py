"""What is tuned of a model."""

import pytest

from raydgp.settings import TuneSettings
from raydgp.tune.planning import plan
from raydgp.workloads import Conv2d, Fused


def test_layers_that_winograd_serves_are_tasks_by_it_too(tmp_path):
    settings, tasks = plan(TuneSettings(model="zoo:resnet18", run="r", runs_dir=tmp_path))
    assert settings.measure.model_mb == pytest.approx(4 * 11.7, rel=0.01)  # what its 11.7 million parameters take
    by_name = {task.name: task for task in tasks}
    for task in tasks:
        twin = by_name.get(f"{task.name}_winograd")
        anchor = task.workload.anchor if isinstance(task.workload, Fused) else None
        served = isinstance(anchor, Conv2d) and (anchor.kh, anchor.stride) == (3, (1, 1))
        if served and task.workload.algorithm == "direct":
            assert (twin.count, twin.workload.layer) == (task.count, task.workload)
            assert twin.workload.group != task.workload.group
        else:
            assert twin is None
    assert sum(name.endswith("_winograd") for name in by_name) == 11
