"""A user's model in: a network by name, a `.pt2` or `.onnx` file, or a Python function, as one Relax module.

Files are data: `raydgp.models.archive` says what that takes. `module:function` runs the user's own code, as the user
wishes. Every import is compared with torch or onnxruntime on several inputs before anything is done with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from raydgp.errors import InputError
from raydgp.models import sources
from raydgp.models.importing.imported import Imported
from raydgp.models.importing.onnx_files import fix_inputs, read
from raydgp.models.importing.onnx_source import from_onnx

__all__ = ["Imported", "load", "with_inputs"]


def load(source: str, inputs: Mapping[str, Sequence[int]] | None = None, check: bool = True) -> Imported:
    """The model that `source` names: one of raydgp's networks, a `.pt2` or `.onnx` file, or `module:function`.

    A network's name may follow `zoo:`. The function takes no arguments and returns an `nn.Module` and its example
    inputs, a tuple of tensors; its module is looked for in the current directory, too.

    Args:
        inputs: shapes of an ONNX file's inputs that are open, by name.
        check: whether what TVM computes is compared with the model's own framework.

    Raises:
        InputError: nothing of that name, a broken or unsafe file, dynamic dimensions, or TVM computes something else.
    """
    sources.check(source)
    path = Path(source)
    if path.suffix.lower() == ".onnx":
        return from_onnx(path, inputs or {}, check)
    if inputs:
        raise InputError(f"{source}: the shapes of its inputs are its own; only those of an ONNX file can be given")
    from raydgp.models.importing.torch_models import import_torch  # loads torch, which an ONNX file does without

    return import_torch(source, check)


def with_inputs(source: str, inputs: Mapping[str, Sequence[int]], folder: Path, size: int = 0) -> str:
    """The source of the same model with these shapes for inputs: itself, or a file that is written into a folder.

    Args:
        size: its number among several, which then have files of their own.
    """
    if not inputs:
        return source
    path = Path(source)
    model = read(path)
    fix_inputs(path, model, inputs)
    fixed = folder / (f"{path.stem}-{size}{path.suffix}" if size else path.name)
    onnx.save(model, fixed)
    return str(fixed)
