"""A live torch module made into a file, so that a run of it can be resumed and deployed by another process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram

from raydgp.models.refusal import refusal


def export_module(module: torch.nn.Module, inputs: Any, folder: Path) -> Path:
    """Exports a module, in eval mode, to a `.pt2` file that is named by what is in it.

    Args:
        inputs: example inputs, one array or tensor or several.
        folder: of the file; the same module and inputs give the same file.

    Raises:
        InputError: torch.export cannot capture the module.
    """
    name, training = type(module).__name__, module.training
    several = inputs if isinstance(inputs, Sequence) else (inputs,)
    example = tuple(torch.as_tensor(value).detach().cpu() for value in several)
    module.eval()
    try:
        with refusal(name, "torch.export cannot capture the model"), torch.no_grad():
            program = torch.export.export(module, example)
    finally:
        module.train(training)
    path = folder / f"{name}-{_digest(program, example)}.pt2"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{os.getpid()}-{path.name}")
        torch.export.save(program, draft)
        draft.replace(path)
    return path


def _digest(program: ExportedProgram, example: Sequence[torch.Tensor]) -> str:
    """8 hex digits of the SHA-256 of graph, weights and example inputs."""
    digest = hashlib.sha256(str(program.graph).encode())
    for name, tensor in [*program.state_dict.items(), *enumerate(example)]:
        array = tensor.detach().cpu().numpy()
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:8]
