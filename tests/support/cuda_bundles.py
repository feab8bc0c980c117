"""CUDA kernels of a bundle for the stand-in driver: on fibres instead of a GPU's threads."""

import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from raydgp import Dense, config_space
from raydgp.build.cuda.launches import launches_of
from raydgp.build.cuda.library import cuda_source
from raydgp.build.cuda.source import quick
from raydgp.space import ConfigSpace
from raydgp.templates.registry import template_named
from tests.support.bundles import Kernels
from tests.support.cuda_cases import CUDA
from tests.support.cuda_emulator import emulated_library

DENSE = Dense(n=3, k=24, m=10)


def add_kernel(task: Kernels, space: ConfigSpace, index: int, name: str = "") -> None:
    """Adds a configuration.

    Args:
        name: of its only kernel, where faults are to find it.
    """
    knobs = space.decode(index)
    template: Any = template_named(space.template)
    module = template.schedule(space.workload, knobs, CUDA)
    source = cuda_source(module, CUDA)
    launches, workspaces = launches_of(module, source)
    compiled, _ = quick(source)  # what is compiled for a GPU
    if name:
        compiled, launches = compiled.replace("main_kernel", name), (replace(launches[0], kernel=name),)
    with tempfile.TemporaryDirectory() as folder:
        code = emulated_library(compiled, launches, Path(folder)).read_bytes()
    task.add(
        code,
        [layout.steps for layout in template.layouts(space.workload, knobs)],
        template.out_layout(space.workload, knobs).steps,
        template.out_shape(space.workload, knobs),
        index,
        launches=[asdict(launch) for launch in launches],
        workspaces=list(workspaces),
    )


def dense(names: Any = ("right_0", "right_1", "right_2")) -> Kernels:
    """A small dense layer with kernels of these names."""
    space = config_space(DENSE, CUDA)
    task = Kernels("dense", DENSE)
    for index, name in zip(space.sample_valid(len(names), np.random.default_rng(0)), names, strict=True):
        add_kernel(task, space, int(index), name)
    return task
