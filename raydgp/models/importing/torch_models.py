"""Models that torch holds: networks by name, `.pt2` files and the user's own functions."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from raydgp.errors import InputError, nearest
from raydgp.models.archive import read_program
from raydgp.models.importing.imported import Imported
from raydgp.models.importing.torch_source import from_pt2, from_torch, plain_module
from raydgp.models.networks import NETWORKS, network, resnet50, transformer_block
from raydgp.models.refusal import refusal

MODELS: dict[str, Callable[[], tuple[torch.nn.Module, tuple[Any, ...]]]] = {
    **{name: partial(network, name) for name in NETWORKS},
    "resnet50": resnet50,
    "transformer_block": transformer_block,
}


def import_torch(source: str, check: bool) -> Imported:
    """Imports a network, a `.pt2` file or what a function returns; as `raydgp.models.importing.load`."""
    if (name := source.removeprefix("zoo:")) in MODELS:
        return from_torch(name, *MODELS[name](), check)
    path = Path(source)
    if path.suffix.lower() == ".pt2":
        return from_pt2(path, check)
    return from_torch(source.split(":")[1], *_call_entry(source), check)


def load_torch(source: str) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    """The source as torch has it, with example inputs, to run it there.

    Raises:
        InputError: as `raydgp.models.importing.load`, or the source is an ONNX file.
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
