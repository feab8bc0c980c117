"""What may be in a `.pt2` file, and in whatever else a user hands over: data, checked before it is loaded.

A file is data. `torch.export.load` of torch 2.13 is not made for that: it unpickles custom objects, and example inputs
and weights that a safe load refuses; loads compiled libraries out of the archive; evaluates symbolic shapes and guards;
writes names into generated Python. So an archive is read here first, by the same reader, and refused unless it holds
nothing of the kind: plain tensors, static shapes, ATen operators, names that are identifiers. What remains is trust in
the parsers of torch, onnx and TVM, written in C++. `module:function` runs the user's own code, as the user wishes.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.pt2_archive._package import PT2ArchiveReader, load_pt2

from raydgp.errors import InputError
from raydgp.models.refusal import refusal

_RECORDS = re.compile(
    r"data/weights/(weight_\d+|model_weights_config\.json)|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|models/model\.json|data/sample_inputs/model\.pt|archive_format|archive_version|byteorder|\.data/\w+"
)
_OPERATORS = re.compile(r"torch\.ops\.aten\.\w+\.\w+|_operator\.getitem")
_SMALL_BYTES = 16 << 20  # that may be compressed however well
_STATIC = "export it with fixed shapes, without dynamic_shapes"


def read_program(path: Path) -> ExportedProgram:
    """The program of an archive that holds nothing but data, with example inputs."""
    data = path.read_bytes()  # once, so that what is loaded is what was checked
    with refusal(path, f"broken or old, write it again with torch.export.save of torch {torch.__version__}"):
        _check_size(data)
        _check_archive(PT2ArchiveReader(io.BytesIO(data)))
        program = load_pt2(io.BytesIO(data)).exported_programs["model"]
    if program.example_inputs is None:
        raise InputError(f"{path}: has no example inputs: export it again with torch.export.export(model, inputs)")
    return program


def _check_size(data: bytes) -> None:
    """torch.export.save compresses nothing: what unpacks to much more than the file would but fill the memory."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > 2 * len(data) + _SMALL_BYTES:
        raise InputError(f"unpacks to {unpacked >> 20} MiB out of {len(data) >> 20}: save it with torch.export.save")


def _check_archive(archive: PT2ArchiveReader) -> None:
    for name in archive.get_file_names():
        if not _RECORDS.fullmatch(name):
            raise InputError(f"{name!r} is not weights and graph: save the program without extras")
    for kind in ("weights", "constants"):
        config = json.loads(archive.read_string(f"data/{kind}/model_{kind}_config.json"))["config"]
        for name, entry in config.items():
            if entry["use_pickle"] is not False:
                raise InputError(f"{name!r} is pickled: save plain, dense tensors only")
    examples = io.BytesIO(archive.read_bytes("data/sample_inputs/model.pt"))
    try:
        torch.load(examples, weights_only=True)
    except Exception as error:  # its own words recommend the unsafe load
        raise InputError("example inputs are not plain tensors: export the program again with such") from error
    program = json.loads(archive.read_string("models/model.json"))
    if program["range_constraints"] or program["guards_code"]:
        raise InputError(f"has dynamic dimensions: {_STATIC}")
    for part in _dicts(program["graph_module"]):
        _check_part(part)


def _dicts(tree: Any) -> Iterator[dict[str, Any]]:
    """All dictionaries of a JSON document, and of the tree specifications that it holds as strings."""
    if isinstance(tree, dict):
        yield tree
        for key, value in tree.items():
            yield from _dicts(json.loads(value) if key in ("in_spec", "out_spec") and value else value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _dicts(value)


def _check_part(part: dict[str, Any]) -> None:
    if "expr_str" in part or "as_expr" in part:
        raise InputError(f"has dynamic dimensions: {_STATIC}")
    if "target" in part and "inputs" in part and not _OPERATORS.fullmatch(str(part["target"])):
        raise InputError(f"calls {part['target']!r}, which is no ATen operator: build the model of those")
    names = [part.get("name"), *(part.get("forward_arg_names") or [])]
    if "children_spec" in part:
        if part["type"] not in (None, "builtins.tuple", "builtins.list", "builtins.dict"):
            raise InputError(f"takes or returns a {part['type']}: use tensors, tuples, lists or dicts")
        names += json.loads(part["context"] or "null") or []
    for name in names:
        if name and not (isinstance(name, str) and name.isidentifier()):
            raise InputError(f"{name!r} is no name: save the program again with torch.export.save")
