"""What is tuned of a model."""

from dataclasses import replace

import pytest

from raydgp.app.tune.planning import plan
from raydgp.settings import TuneSettings
from raydgp.templates.spaces import config_space
from raydgp.workloads import Conv2d, Fused, TracedKernel, zoo


def test_layers_that_winograd_serves_are_tasks_by_it_too(tmp_path):
    settings, tasks = plan(TuneSettings(model="zoo:resnet18", run="r", runs_dir=tmp_path))
    assert settings.measure.model_mb == pytest.approx(4 * 11.7, rel=0.01)  # what its 11.7 million parameters take
    by_name = {task.name: task for task in tasks}
    for task in tasks:
        twin = by_name.get(f"{task.name}_winograd")
        anchor = task.workload.anchor if isinstance(task.workload, Fused) else None
        served = isinstance(anchor, Conv2d) and (anchor.kh, anchor.stride) == (3, (1, 1))
        if isinstance(task.workload, Fused) and served and task.workload.algorithm == "direct":
            assert twin
            assert isinstance(twin.workload, Fused)
            assert (twin.count, twin.workload.layer) == (task.count, task.workload)
            assert twin.workload.group != task.workload.group
        else:
            assert twin is None
    assert sum(name.endswith("_winograd") for name in by_name) == 11


def test_for_a_gpu_every_layer_has_the_papers_space_and_every_kernel_one(tmp_path):
    settings, tasks = plan(TuneSettings(model="zoo:resnet18", target="cuda", run="r", runs_dir=tmp_path))
    assert settings.measure.model_mb is None  # cold weights are a matter of CPUs
    layers = [(task.workload, task.count) for task in tasks if isinstance(task.workload, Fused)]
    direct = {workload.anchor: count for workload, count in layers if workload.algorithm == "direct"}
    table = {task.workload for task in zoo.tasks("resnet18")}
    assert len(table - direct.keys()) <= 1  # the table has a projection more
    for workload, _ in layers:
        anchor, algorithm = workload.anchor, workload.algorithm
        space, papers = config_space(workload, "cuda"), config_space(anchor, "cuda", algorithm)
        assert (space.template, space.size, space.default) == (papers.template, papers.size, papers.default)
        assert (workload.block_in, workload.block_out) == (1, 1)
        twin = replace(workload, algorithm="winograd")
        served = isinstance(anchor, Conv2d) and (anchor.kh, anchor.stride) == (3, (1, 1))
        assert served == any(other == twin for other, _ in layers)
    kernels = [task.workload for task in tasks if isinstance(task.workload, TracedKernel)]
    assert {kernel.name for kernel in kernels} >= {"max_pool2d"}
    assert all(config_space(kernel, "cuda").template == "cuda.sketched.v1" for kernel in kernels)
