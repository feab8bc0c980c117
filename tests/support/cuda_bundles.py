"""CUDA kernels of a bundle for the stand-in driver: on fibres instead of a GPU's threads."""

import hashlib
import json
import lzma
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from raydgp import Dense, config_space
from raydgp.build.cuda.launches import launches_of
from raydgp.build.cuda.library import cuda_source
from raydgp.build.cuda.source import quick
from raydgp.build.launch import Launch
from raydgp.bundle.reading import Bundle
from raydgp.sandbox.child_loop import knobs_from_json
from raydgp.space import ConfigSpace
from raydgp.templates.registry import template_named
from raydgp.workloads import from_dict
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
    code, launches, workspaces = on_fibres(template.schedule(space.workload, knobs, CUDA), name)
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


def on_fibres(module: Any, name: str = "") -> tuple[bytes, tuple[Launch, ...], tuple[int, ...]]:
    """What stands for the cubin of a scheduled module, its launches and its workspaces; add_kernel has `name`."""
    source = cuda_source(module, CUDA)
    launches, workspaces = launches_of(module, source)
    compiled, _ = quick(source)  # what is compiled for a GPU
    if name:
        compiled, launches = compiled.replace("main_kernel", name), (replace(launches[0], kernel=name),)
    with tempfile.TemporaryDirectory() as folder:
        return emulated_library(compiled, launches, Path(folder)).read_bytes(), launches, workspaces


def put_on_fibres(path: Path, names: Mapping[str, str] = {}) -> None:
    """Gives a bundle of `raydgp bundle make` other machine code, for the stand-in driver; all else it keeps.

    Args:
        names: of a task's only CUDA kernel, by the task, where faults are to find it.
    """
    with Bundle(path) as made:
        codes: dict[str, bytes] = {}
        for task in made.header.tasks:
            workload = from_dict(task.workload)
            for kernel in made.kernels(task):
                knobs = knobs_from_json(kernel.knobs)
                module = template_named(task.template).schedule(workload, knobs, CUDA)
                codes[kernel.code] = on_fibres(module, names.get(task.name, ""))[0]
        renamed = {task.kernels: names[task.name] for task in made.header.tasks if task.name in names}
    names = {old: hashlib.sha256(code).hexdigest() for old, code in codes.items()}
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist() if not name.startswith(("blocks/", "codes"))}
    for name, content in members.items():
        if name.endswith("kernels.jsonl.xz"):
            text = lzma.decompress(content).decode()
            for old, new in names.items():
                text = text.replace(old, new)
            text = text.replace("main_kernel", renamed.get(name, "main_kernel"))
            members[name] = lzma.compress(text.encode())
    entries = []
    for number, code in enumerate(codes.values()):
        members[f"blocks/{number}.xz"] = lzma.compress(code)
        digest = hashlib.sha256(code).hexdigest()
        entries.append({"code": digest, "block": number, "offset": 0, "size": len(code)})
    members["codes.jsonl.xz"] = lzma.compress("".join(json.dumps(entry) + "\n" for entry in entries).encode())
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
