"""A model as TVM compiles it without us: not scheduled at all, or by the schedules that its own tuner has found."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import tvm
from tvm import relax

from raydgp.build.compile import link
from raydgp.errors import InputError
from raydgp.models import beside
from raydgp.models.importing import Imported, load
from raydgp.models.machine import Machine, arrays
from raydgp.rivals.metaschedule.model import TunedModel, compiled
from raydgp.rivals.ways import Way
from raydgp.targets import Target
from raydgp.targets.compiler import to_tvm


def untuned(way: str, source: str, target: str, threads: int) -> Way:
    """What TVM compiles when nobody has scheduled anything; for a GPU it then has rules of its own (DLight)."""
    model, here = load(source, check=False), Target.here(target)
    module = model.module
    if here.behaviour.on_processors:
        with to_tvm(here):
            module = relax.get_pipeline("zero")(module)
    return _called(_exported(here.behaviour.part("executable")(module, here)), model, here.kind, threads)


def metaschedule(way: str, source: str, target: str, threads: int) -> Way:
    """What TVM compiles with the schedules that its own tuner has left in a folder.

    Raises:
        InputError: it has left none there.
    """
    folder = Path(source)
    state = TunedModel.load(folder)
    if state is None:
        raise InputError(f"{folder}: MetaSchedule has tuned nothing there")
    model = load(state.model, check=False)
    return _called(compiled(model.module, state, folder), model, state.target.kind, threads)


def _exported(executable: Any) -> Any:
    """The same, written and loaded again."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.so")
        executable.export_library(path, fcompile=link)
        return tvm.runtime.load_module(path)


def _called(executable: Any, model: Imported, kind: str, threads: int) -> Way:
    beside.register(model.beside, threads)
    machine = Machine(executable, kind)
    inputs = machine.tensors(model.inputs)
    return lambda: machine.call(inputs), lambda out: list(arrays(out)), model.expected
