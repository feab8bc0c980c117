"""Edited and hostile model files: each gives a model or one line that says what is wrong, in bounded time."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import GraphProto, ModelProto, TensorProto
from onnx.helper import (
    make_attribute,
    make_graph,
    make_node,
    make_opsetid,
    make_tensor_type_proto,
    make_tensor_value_info,
)
from torch import nn

from raydgp.errors import InputError
from raydgp.models.importing import load, onnx_running
from tests.support.onnx_models import FLOAT, onnx_model

INT, BOOL = TensorProto.INT64, TensorProto.BOOL
TYPES = [0, 1, 2, 6, 7, 8, 9, 10, 11, 14, 16, 17, 99]
OPERATORS = [
    "Relu",
    "Conv",
    "Reshape",
    "LSTM",
    "If",
    "Loop",
    "Resize",
    "Pad",
    "TopK",
    "Cast",
    "NoSuchOperator",
    "Einsum",
]
LONGEST = 700  # characters of a message: a path, and at most 300 of a framework's own words


def layers() -> ModelProto:
    rng = np.random.default_rng(0)
    nodes = [
        make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"]),
        make_node("Relu", ["n"], ["r"]),
        make_node("GlobalAveragePool", ["r"], ["p"]),
        make_node("Flatten", ["p"], ["f"]),
        make_node("Gemm", ["f", "g"], ["y"], transB=1),
    ]
    shapes = {"w": (4, 3, 3, 3), "s": (4,), "b": (4,), "m": (4,), "v": (4,), "g": (5, 4)}
    weights = {name: np.abs(rng.standard_normal(shape)).astype("f") for name, shape in shapes.items()}
    return onnx_model(nodes, {"x": (FLOAT, [1, 3, 6, 6])}, {"y": (FLOAT, [1, 5])}, weights)


def indices() -> ModelProto:
    table = np.random.default_rng(0).standard_normal((7, 8)).astype("f")
    nodes = [
        make_node("Gather", ["e", "i"], ["a"]),
        make_node("Cast", ["k"], ["t"], to=1),
        make_node("Mul", ["a", "t"], ["q"]),
        make_node("ArgMax", ["q"], ["y"], axis=-1, keepdims=0),
        make_node("Greater", ["q", "zero"], ["z"]),
    ]
    ends = {"i": (INT, [1, 4]), "k": (BOOL, [1, 4, 1])}, {"y": (INT, [1, 4]), "z": (BOOL, [1, 4, 8])}
    return onnx_model(nodes, *ends, {"e": table, "zero": np.float32(0)})


def branches() -> ModelProto:
    ends = [make_tensor_value_info(name, FLOAT, [2, 3]) for name in "tu"]
    nodes = [
        make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        make_node("Greater", ["s", "zero"], ["c"]),
        make_node(
            "If",
            ["c"],
            ["z"],
            then_branch=make_graph([make_node("Neg", ["x"], ["t"])], "then", [], ends[:1]),
            else_branch=make_graph([make_node("Abs", ["x"], ["u"])], "else", [], ends[1:]),
        ),
        make_node("Split", ["z", "parts"], ["a", "b"], axis=1),
        make_node("Concat", ["b", "a"], ["y"], axis=1),
    ]
    weights = {"zero": np.float32(0), "parts": np.array([1, 2])}
    return onnx_model(nodes, {"x": (FLOAT, [2, 3])}, {"y": (FLOAT, [2, 3])}, weights)


def graphs(model: ModelProto) -> Iterator[GraphProto]:
    yield model.graph
    for node in model.graph.node:
        yield from (attribute.g for attribute in node.attribute if attribute.HasField("g"))


def edit(model: ModelProto, rng: random.Random) -> None:
    """One thing of the model made another, or taken away."""
    graph = rng.choice(list(graphs(model)))
    node = rng.choice(list(graph.node)) if graph.node else onnx.NodeProto()
    tensors = list(graph.initializer) or [TensorProto()]
    ends = [*graph.input, *graph.output] or [onnx.ValueInfoProto()]
    names = [*node.input, *node.output, *(tensor.name for tensor in tensors), "", "absent", 'a/b:0 "\u00e9"\n']
    values = [-1, 0, 7, 10**12, 1.5, "abc", [1, 2, 3], [-5], [10**9, 10**9]]
    tensor, end = rng.choice(tensors), rng.choice(ends)

    def replaced(held: Any) -> None:
        if held:
            held[rng.randrange(len(held))] = rng.choice(names)

    def cut(held: Any) -> None:
        if held:
            del held[rng.randrange(len(held))]

    def attribute() -> None:
        name = rng.choice([a.name for a in node.attribute] or ["axis"])
        del node.attribute[:]
        node.attribute.append(make_attribute(name, rng.choice(values)))

    def swapped() -> None:
        at, other = rng.randrange(len(graph.node)), rng.randrange(len(graph.node))
        first = deepcopy(graph.node[at])
        graph.node[at].CopyFrom(graph.node[other])
        graph.node[other].CopyFrom(first)

    def dims() -> None:
        given = rng.choice([[], [0], [1], [3, 4], [-1], [10**10], [2] * 7])
        del tensor.dims[:]
        tensor.dims.extend(given)

    def shape() -> None:
        given = rng.choice([None, [], [0], [1], [1, 3, 0, 6], [2, 3, 5, 7], ["a", "b"], [10**6, 10**6]])
        end.type.CopyFrom(make_tensor_type_proto(rng.choice(TYPES[1:]), given))

    edits: list[Callable[[], Any]] = [
        *(lambda: cut(graph.node), lambda: cut(graph.input), lambda: cut(graph.output), lambda: cut(graph.initializer)),
        *(
            lambda: replaced(node.input),
            lambda: replaced(node.output),
            lambda: cut(node.input),
            lambda: cut(node.output),
        ),
        *(lambda: node.input.append(rng.choice(names)), lambda: node.output.append(rng.choice(names))),
        *(lambda: setattr(node, "op_type", rng.choice(OPERATORS)), lambda: cut(node.attribute), attribute, swapped),
        lambda: setattr(node, "domain", rng.choice(["com.microsoft", "nowhere", "ai.onnx", "ai.onnx.ml"])),
        *(lambda: setattr(tensor, "data_type", rng.choice(TYPES)), dims),
        *(lambda: setattr(tensor, "raw_data", tensor.raw_data[::2]), shape, lambda: setattr(end, "name", names[0])),
        lambda: setattr(model.opset_import[0], "version", rng.choice([-1, 0, 1, 6, 9, 11, 23, 26, 27, 99])),
        lambda: setattr(model, "ir_version", rng.choice([-1, 0, 1, 3, 10, 14, 99])),
        lambda: graph.node.append(node),
    ]
    rng.choice(edits)()


def result_or_line(path: Path) -> None:
    try:
        load(str(path))
    except InputError as error:
        said = str(error)
    else:
        return
    assert said.startswith(str(path))
    assert "\n" not in said
    assert len(said) < LONGEST


def check_seeds(seeds: range, folder: Path) -> None:
    for seed in seeds:
        rng = random.Random(seed)
        model = rng.choice([layers, indices, branches])()
        for _ in range(rng.choice([1, 1, 2])):
            edit(model, rng)
        data = bytearray(model.SerializeToString())
        if rng.random() < 0.1:
            data = data[: rng.randrange(len(data))]
        elif rng.random() < 0.1:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path = folder / f"{seed}.onnx"
        path.write_bytes(data)
        result_or_line(path)


def test_edited_models_give_a_result_or_a_line(tmp_path: Path) -> None:
    check_seeds(range(40), tmp_path)


@pytest.mark.slow
def test_many_edited_models_give_a_result_or_a_line(tmp_path: Path) -> None:
    check_seeds(range(1000, 1600), tmp_path)


def saved(model: ModelProto, folder: Path) -> str:
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return str(path)


def test_an_empty_file_and_an_empty_graph_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(InputError, match="broken"):
        load(str(tmp_path / "m.onnx"))
    with pytest.raises(InputError, match="the model has no outputs"):
        load(saved(onnx_model([], {}, {}), tmp_path))


def test_nodes_in_a_circle_are_refused(tmp_path: Path) -> None:
    nodes = [make_node("Add", ["x", "b"], ["a"]), make_node("Relu", ["a"], ["b"])]
    with pytest.raises(InputError, match="topologically sorted"):
        load(saved(onnx_model(nodes, {"x": (FLOAT, [2])}, {"b": (FLOAT, [2])}), tmp_path))


def test_nodes_in_another_order_are_sorted(tmp_path: Path) -> None:
    model = layers()
    turned = list(reversed(model.graph.node))
    nodes = [deepcopy(node) for node in turned]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    assert load(saved(model, tmp_path)).beside == {}


def test_names_are_anything(tmp_path: Path) -> None:
    odd = 'a/b:0 "\u00e9"\n\\ %s {x}'
    nodes = [make_node("Relu", [odd], ["main"]), make_node("Neg", ["main"], [f"{odd}1"])]
    model = load(saved(onnx_model(nodes, {odd: (FLOAT, [2])}, {f"{odd}1": (FLOAT, [2])}), tmp_path))
    assert model.input_names == (odd,)


@pytest.mark.parametrize("location", ["weights.bin", "../secret", "/etc/passwd"])
def test_external_data_that_is_missing_or_elsewhere_is_refused(location: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(10**4))
    folder = tmp_path / "model"
    folder.mkdir()
    model = layers()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    with pytest.raises(InputError, match="broken, export it again"):
        load(saved(model, folder))


def test_a_domain_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    model = layers()
    model.graph.node[0].domain = "nowhere"
    model.opset_import.append(make_opsetid("nowhere", 1))
    with pytest.raises(InputError, match="Conv"):
        load(saved(model, tmp_path))


def test_a_loop_without_an_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_running, "LIMIT_S", 1.0)
    inside = [make_tensor_value_info(name, kind, []) for name, kind in (("i", INT), ("go", BOOL), ("s", FLOAT))]
    given = [make_tensor_value_info(name, kind, []) for name, kind in (("on", BOOL), ("t", FLOAT))]
    body = make_graph([make_node("Identity", ["go"], ["on"]), make_node("Neg", ["s"], ["t"])], "body", inside, given)
    node = make_node("Loop", ["", "true", "x"], ["y"], body=body)
    model = onnx_model([node], {"x": (FLOAT, [])}, {"y": (FLOAT, [])}, {"true": True})
    with pytest.raises(InputError, match="runs longer than 1 s; a loop may have no end"):
        load(saved(model, tmp_path))


@pytest.mark.parametrize("size", [10**6, 10**12])
def test_tensors_that_no_machine_holds_are_refused(size: int, tmp_path: Path) -> None:
    nodes = [make_node("Expand", ["x", "s"], ["y"])]
    model = onnx_model(nodes, {"x": (FLOAT, [1])}, {"y": (FLOAT, None)}, {"s": [size, 10**5]})
    with pytest.raises(InputError, match=r"over 2\^31 elements"):
        load(saved(model, tmp_path))


@pytest.mark.slow
def test_a_chain_of_ten_thousand_nodes_is_imported(tmp_path: Path) -> None:
    kinds = ["Relu", "Neg", "Abs", "Tanh"]
    nodes = [make_node(kinds[k % 4], [f"t{k}"], [f"t{k + 1}"]) for k in range(10_000)]
    load(saved(onnx_model(nodes, {"t0": (FLOAT, [4])}, {"t10000": (FLOAT, [4])}), tmp_path))


@pytest.mark.parametrize("seed", range(12))
def test_a_changed_archive_of_torch_gives_a_result_or_a_line(seed: int, tmp_path: Path) -> None:
    rng, path = random.Random(seed), tmp_path / "m.pt2"
    torch.export.save(torch.export.export(nn.Linear(3, 2), (torch.ones(1, 3),)), path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice([name for name in files if files[name]])
    changed = bytearray(files[name])
    if seed % 3 == 0:
        del files[name]
    else:
        for _ in range(1 + seed % 4):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        files[name] = bytes(changed)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    result_or_line(path)
