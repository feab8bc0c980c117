"""A user's model in: a network by name, a `.pt2` or `.onnx` file, or a Python function, as one Relax module.

Files are data: `raydgp.models.archive` says what that takes. `module:function` runs the user's own code, as the user
wishes. Every import is compared with torch or onnxruntime on several inputs before anything is done with it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import torch

from raydgp.errors import InputError, nearest
from raydgp.models import sources
from raydgp.models.archive import read_program, refusal
from raydgp.models.importing.imported import Imported
from raydgp.models.importing.onnx_files import fix_inputs, read
from raydgp.models.importing.onnx_source import from_onnx
from raydgp.models.importing.torch_source import from_pt2, from_torch, plain_module
from raydgp.models.networks import NETWORKS, network, transformer_block

__all__ = ["MODELS", "Imported", "load", "load_torch", "with_inputs"]

MODELS: dict[str, Callable[[], tuple[torch.nn.Module, tuple[Any, ...]]]] = {
    **{name: partial(network, name) for name in NETWORKS},
    "transformer_block": transformer_block,
}


def load(source: str, inputs: Mapping[str, Sequence[int]] | None = None, check: bool = True) -> Imported:
    """The model that `source` names: one of `MODELS`, a `.pt2` or `.onnx` file, or `module:function`.

    A name may follow `zoo:`. The function takes no arguments and returns an `nn.Module` and its example inputs, a tuple
    of tensors; its module is looked for in the current directory, too.

    Args:
        inputs: shapes of an ONNX file's inputs that are open, by name.
        check: whether what TVM computes is compared with the model's own framework.

    Raises:
        InputError: nothing of that name, a broken or unsafe file, dynamic dimensions, or TVM computes something else.
    """
    sources.check(source)
    path, network_name = Path(source), source.removeprefix("zoo:")
    if path.suffix.lower() == ".onnx":
        return from_onnx(path, inputs or {}, check)
    if inputs:
        raise InputError(f"{source}: the shapes of its inputs are its own; only those of an ONNX file can be given")
    if network_name in MODELS:
        return from_torch(network_name, *MODELS[network_name](), check)
    if path.suffix.lower() == ".pt2":
        return from_pt2(path, check)
    return from_torch(source.split(":")[1], *_call_entry(source), check)


def with_inputs(source: str, inputs: Mapping[str, Sequence[int]], folder: Path) -> str:
    """The source of the same model with these shapes for inputs: itself, or a file that is written into a folder."""
    if not inputs:
        return source
    path = Path(source)
    model = read(path)
    fix_inputs(path, model, inputs)
    fixed = folder / path.name
    onnx.save(model, fixed)
    return str(fixed)


def load_torch(source: str) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    """The source as torch has it, with example inputs, to run it there.

    Raises:
        InputError: as `load`, or the source is an ONNX file.
    """
    if (name := source.removeprefix("zoo:")) in MODELS:
        return _evaluating(*MODELS[name]())
    path = Path(source)
    if path.suffix.lower() == ".pt2":
        return plain_module(read_program(path))
    if path.suffix.lower() == ".onnx":
        raise InputError(f"{source}: torch does not run ONNX files")
    return _evaluating(*_call_entry(source))


def _evaluating(module: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[torch.nn.Module, tuple[Any, ...]]:
    return module.eval(), inputs


def _call_entry(source: str) -> tuple[torch.nn.Module, tuple[Any, ...]]:
    name, _, function = source.partition(":")
    sys.path.insert(0, "")  # the current directory, also for what the function imports
    try:
        with refusal(source, f"cannot import {name!r}"):
            module = importlib.import_module(name)
        entry = getattr(module, function, None)
        if not callable(entry):
            names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            raise InputError(f"{source}: {name!r} has no function {function!r}{nearest(function, names)}")
        with refusal(source, "the function failed"):
            result = entry()
    finally:
        sys.path.remove("")
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], torch.nn.Module)):
        raise InputError(f"{source}: must return an nn.Module and a tuple of example inputs")
    if not isinstance(result[1], tuple):
        raise InputError(f"{source}: example inputs must be a tuple of tensors, not {type(result[1]).__name__}")
    return result
