"""A model as an ONNX file, for what reads no other: its own, or one that torch writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from raydgp.models.importing import load
from raydgp.models.importing.torch_models import load_torch
from raydgp.models.refusal import refusal
from raydgp.rivals.torch import arrays, copies
from raydgp.rivals.ways import Array


@contextmanager
def as_onnx(source: str) -> Iterator[tuple[str, tuple[Array, ...], tuple[Array, ...]]]:
    """The file, the model's inputs in its order, and what they give; a file that was made is gone afterwards.

    Raises:
        InputError: torch cannot write it.
    """
    if source.lower().endswith(".onnx"):
        model = load(source, check=False)
        yield source, model.inputs, model.expected
        return
    module, tensors = load_torch(source)
    with TemporaryDirectory() as folder, torch.no_grad():
        path = str(Path(folder) / "model.onnx")
        inputs, expected = tuple(arrays(tensors)), tuple(arrays(module(*copies(tensors))))
        with refusal(source, "torch cannot write it as ONNX"):
            torch.onnx.export(module, copies(tensors), path, dynamo=False)
        yield path, inputs, expected
