"""A model as an ONNX file, for what reads no other: its own, or one that torch writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.utils._pytree import tree_leaves

from raydgp.models.importing import load, load_torch
from raydgp.rivals.ways import Array


@contextmanager
def as_onnx(source: str) -> Iterator[tuple[str, tuple[Array, ...], tuple[Array, ...]]]:
    """The file, the model's inputs in its order, and what they give; a file that was made is gone afterwards."""
    if source.lower().endswith(".onnx"):
        model = load(source, check=False)
        yield source, model.inputs, model.expected
        return
    module, tensors = load_torch(source)
    with TemporaryDirectory() as folder, torch.no_grad():
        path = str(Path(folder) / "model.onnx")
        torch.onnx.export(module, tensors, path, dynamo=False)
        expected = tuple(a.numpy() for a in tree_leaves(module(*tensors)))
        yield path, tuple(a.numpy() for a in tensors), expected
