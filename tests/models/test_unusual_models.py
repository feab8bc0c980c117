"""Models without a layer, of whole numbers, of truth values, with odd inputs: compiled, written, loaded and right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import NodeProto, TensorProto
from onnx.helper import make_graph, make_node, make_opsetid, make_tensor, make_tensor_value_info
from torch import Tensor, nn

from raydgp.app import whole
from raydgp.app.deploy.kernels import Kernels
from raydgp.errors import InputError
from raydgp.models.accuracy import difference
from raydgp.models.folder import Library
from raydgp.models.importing import Imported, load
from raydgp.targets import Target
from raydgp.targets.compiler import versions
from tests.support.onnx_models import FLOAT, Ends, onnx_model

INT, BOOL = TensorProto.INT64, TensorProto.BOOL


def deployed(source: str, folder: Path, **inputs: tuple[int, ...]) -> tuple[Imported, Library]:
    """The model with default configurations, from its folder, where it computes what it must."""
    target = Target.here("llvm")
    kernels = Kernels(target, {})
    model = load(source, inputs)
    lowered, _ = whole.lowered(source, [model], target, kernels.choose)
    manifest = {"target": target.to_dict(), "versions": versions(), "threads": 1}
    whole.write(folder / "out", source, [model], lowered, kernels, manifest)
    library = Library(folder / "out")
    assert difference(library(*library.inputs), library.expected) is None
    return model, library


ONNX: dict[str, tuple[Sequence[NodeProto], Ends, Ends]] = {
    "a concatenation with nothing": (
        [
            make_node("Constant", [], ["none"], value=make_tensor("none", FLOAT, [2, 0], [])),
            make_node("Concat", ["x", "none"], ["c"], axis=1),
            make_node("Relu", ["c"], ["y"]),
        ],
        {"x": (FLOAT, [2, 3])},
        {"y": (FLOAT, [2, 3])},
    ),
    "the identity": ([make_node("Identity", ["x"], ["y"])], {"x": (FLOAT, [2, 3])}, {"y": (FLOAT, [2, 3])}),
    "of whole numbers": (
        [make_node("Mul", ["x", "x"], ["s"]), make_node("Sub", ["s", "x"], ["y"])],
        {"x": (INT, [4, 5])},
        {"y": (INT, [4, 5])},
    ),
    "of truth values": (
        [make_node("Greater", ["x", "z"], ["g"]), make_node("Not", ["g"], ["y"])],
        {"x": (FLOAT, [3, 3]), "z": (FLOAT, [])},
        {"y": (BOOL, [3, 3])},
    ),
    "an input that nothing reads": (
        [make_node("Relu", ["x"], ["y"])],
        {"x": (FLOAT, [2, 2]), "z": (INT, [1])},
        {"y": (FLOAT, [2, 2])},
    ),
    "one output twice": (
        [make_node("Relu", ["x"], ["y"]), make_node("Identity", ["y"], ["z"])],
        {"x": (FLOAT, [2, 2])},
        {"y": (FLOAT, [2, 2]), "z": (FLOAT, [2, 2])},
    ),
    "nothing to compute": (
        [make_node("Constant", [], ["y"], value_floats=[1.0, 2.0])],
        {"x": (FLOAT, [2])},
        {"y": (FLOAT, [2])},
    ),
}


@pytest.mark.parametrize("kind", ONNX)
def test_an_unusual_onnx_model_is_deployed(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "MODEL.ONNX"  # as some exporters for Windows call it
    path.write_bytes(onnx_model(*ONNX[kind]).SerializeToString())
    deployed(str(path), tmp_path)


def test_an_input_without_elements_is_refused(tmp_path: Path) -> None:
    model = onnx_model([make_node("Relu", ["x"], ["y"])], {"x": (FLOAT, [0, 3])}, {"y": (FLOAT, [0, 3])})
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(InputError, match="input 'x' has no elements: give its sizes with --input"):
        load(str(tmp_path / "m.onnx"))


class InPlace(nn.Module):
    def forward(self, x: Tensor) -> Any:
        x.add_(1)
        return x * 2, {"halves": (x / 2, None)}, [x > 1]


def test_a_module_that_writes_into_its_input_and_returns_a_tree_is_deployed(tmp_path: Path) -> None:
    x = torch.arange(6.0).reshape(2, 3)
    torch.export.save(torch.export.export(InPlace(), (x.clone(),)), tmp_path / "tree.pt2")
    _, library = deployed(str(tmp_path / "tree.pt2"), tmp_path)
    np.testing.assert_array_equal(library.inputs[0], x.numpy())
    for ours, theirs in zip(library(x), (2 * (x + 1), (x + 1) / 2, x + 1 > 1), strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy())


def test_a_batch_that_is_open_in_several_inputs_is_the_same_in_all(tmp_path: Path) -> None:
    nodes = [make_node("Mul", ["x", "m"], ["y"])]
    model = onnx_model(nodes, {"x": (FLOAT, ["n", 3]), "m": (FLOAT, [2, "n", 3])}, {"y": (FLOAT, None)})
    onnx.save(model, tmp_path / "m.onnx")
    assert [array.shape for array in load(str(tmp_path / "m.onnx")).inputs] == [(1, 3), (2, 1, 3)]


def test_a_size_of_minus_one_is_open(tmp_path: Path) -> None:
    model = onnx_model([make_node("Relu", ["x"], ["y"])], {"x": (FLOAT, [-1, 3, -1])}, {"y": (FLOAT, None)})
    onnx.save(model, tmp_path / "m.onnx")
    assert load(str(tmp_path / "m.onnx"), {"x": (2, 3, 4)}).inputs[0].shape == (2, 3, 4)


def test_an_operator_whose_type_onnx_does_not_know_runs_beside(tmp_path: Path) -> None:
    nodes = [make_node("QuickGelu", ["x"], ["q"], domain="com.microsoft"), make_node("Relu", ["q"], ["y"])]
    model = onnx_model(nodes, {"x": (FLOAT, [2, 3])}, {"y": (FLOAT, None)})
    model.opset_import.append(make_opsetid("com.microsoft", 1))
    onnx.save(model, tmp_path / "m.onnx")
    imported, _ = deployed(str(tmp_path / "m.onnx"), tmp_path)
    assert imported.cut[0].operators == {"QuickGelu": 1}


def test_a_single_number_is_one_that_the_model_knows(tmp_path: Path) -> None:
    """As the sampling rate of a voice detector: the branch for another one does not take this input."""
    ends = [make_tensor_value_info("t", FLOAT, None), make_tensor_value_info("u", FLOAT, None)]
    wide = make_graph([make_node("Conv", ["x", "w"], ["t"])], "wide", [], ends[:1])
    narrow = make_graph([make_node("Conv", ["x", "v"], ["u"])], "narrow", [], ends[1:])
    nodes = [
        make_node("Equal", ["rate", "wanted"], ["c"]),
        make_node("If", ["c"], ["y"], then_branch=wide, else_branch=narrow),
    ]
    inputs: Ends = {"x": (FLOAT, [1, 1, 8]), "rate": (INT, [])}
    weights = {"wanted": 16000, "w": np.ones((1, 1, 4), "f"), "v": np.ones((1, 1, 9), "f")}
    onnx.save(onnx_model(nodes, inputs, {"y": (FLOAT, None)}, weights), tmp_path / "m.onnx")
    model, _ = deployed(str(tmp_path / "m.onnx"), tmp_path)
    assert model.inputs[1] == 16000
    assert model.expected[0].shape == (1, 1, 5)


def test_an_index_out_of_bounds_ends_no_process(tmp_path: Path) -> None:
    model = onnx_model(
        [make_node("Gather", ["e", "i"], ["y"])], {"i": (INT, [3])}, {"y": (FLOAT, None)}, {"e": np.eye(4, dtype="f")}
    )
    onnx.save(model, tmp_path / "m.onnx")
    _, library = deployed(str(tmp_path / "m.onnx"), tmp_path)
    (rows,) = library(np.array([1, 10**9, 3]))
    np.testing.assert_array_equal(rows, np.eye(4)[[1, 3, 3]])


def test_a_model_that_rounds_within_may_differ_by_a_step(tmp_path: Path) -> None:
    nodes = [
        make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    onnx.save(onnx_model(nodes, {"x": (FLOAT, [4, 8])}, {"y": (FLOAT, [4, 8])}), tmp_path / "m.onnx")
    model, _ = deployed(str(tmp_path / "m.onnx"), tmp_path)
    right = model.expected[0]
    assert difference([right * 1.005], [right], tolerance=model.tolerance) is None
    assert difference([right * 1.005], [right]) is not None
    assert difference([right * 1.1], [right], tolerance=model.tolerance) is not None


def test_a_model_that_is_quantised_as_it_runs_is_tvms(tmp_path: Path) -> None:
    """Also where there are zeros alone, whose scale no range gives."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.integers(0, 255, (8, 3, 3, 3)).astype("u1"), "p": np.uint8(128), "c": np.float32(0.01)}
    nodes = [
        make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        make_node("ConvInteger", ["q", "w", "z", "p"], ["i"], pads=[1, 1, 1, 1]),
        make_node("Cast", ["i"], ["f"], to=FLOAT),
        make_node("Mul", ["s", "c"], ["t"]),
        make_node("Mul", ["f", "t"], ["y"]),
    ]
    ends: tuple[Ends, Ends] = {"x": (FLOAT, [1, 3, 6, 6])}, {"y": (FLOAT, None)}
    onnx.save(onnx_model(nodes, *ends, weights), tmp_path / "m.onnx")
    model = load(str(tmp_path / "m.onnx"))  # compared with onnxruntime on several inputs, zeros among them
    assert model.beside == {}


@pytest.mark.parametrize("opset", [11, 13])
def test_axes_are_an_attribute_or_an_input(opset: int, tmp_path: Path) -> None:
    axes: dict[str, Any] = {"axes": [1, 2]} if opset < 13 else {}
    back: dict[str, Any] = {"axes": [0, -1]} if opset < 13 else {}
    nodes = [
        make_node("Squeeze", ["x", *([] if axes else ["a"])], ["s"], **axes),
        make_node("Unsqueeze", ["s", *([] if axes else ["b"])], ["y"], **back),
        make_node("Squeeze", ["x"], ["z"]),
    ]
    weights = {} if axes else {"a": [1, 2], "b": [0, -1]}
    ends: tuple[Ends, Ends] = {"x": (FLOAT, [2, 1, 1, 3])}, {"y": (FLOAT, None), "z": (FLOAT, None)}
    onnx.save(onnx_model(nodes, *ends, weights, opset), tmp_path / "m.onnx")
    model = load(str(tmp_path / "m.onnx"))
    assert model.beside == {}
    assert [array.shape for array in model.expected] == [(1, 2, 3, 1), (2, 3)]


def test_rounding_is_no_error_of_a_probability_near_zero(tmp_path: Path) -> None:
    """onnxruntime's sigmoid and ours differ by less than float32 rounds of 1."""
    nodes = [make_node("Abs", ["x"], ["a"]), make_node("Sub", ["w", "a"], ["s"]), make_node("Sigmoid", ["s"], ["y"])]
    onnx.save(
        onnx_model(nodes, {"x": (FLOAT, [4, 4])}, {"y": (FLOAT, [4, 4])}, {"w": np.float32(-19)}), tmp_path / "m.onnx"
    )
    assert load(str(tmp_path / "m.onnx")).expected[0].max() < 1e-6


def test_scores_of_named_classes_are_tensors(tmp_path: Path) -> None:
    """As converters of scikit-learn write classifiers: names of classes, and a list of a dictionary for each row."""
    trees: dict[str, Any] = {
        "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2],
        "nodes_featureids": [1, 0, 0],
        "nodes_values": [0.0, 0.0, 0.0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
        "class_treeids": [0, 0],
        "class_nodeids": [1, 2],
        "class_ids": [0, 1],
        "class_weights": [1.0, 1.0],
        "classlabels_strings": ["low", "high"],
    }
    nodes = [
        make_node("TreeEnsembleClassifier", ["x"], ["which", "scores"], domain="ai.onnx.ml", **trees),
        make_node("ZipMap", ["scores"], ["probabilities"], domain="ai.onnx.ml", classlabels_strings=["low", "high"]),
        make_node("Identity", ["which"], ["label"]),
    ]
    model = onnx_model(nodes, {"x": (FLOAT, ["n", 2])}, {"label": (TensorProto.STRING, None)})
    model.graph.output.append(onnx.ValueInfoProto(name="probabilities"))
    model.opset_import.append(make_opsetid("ai.onnx.ml", 1))
    onnx.save(model, tmp_path / "m.onnx")
    imported, library = deployed(str(tmp_path / "m.onnx"), tmp_path)
    assert any("label is of strings" in note for note in imported.notes)
    (scores,) = library(np.array([[9.0, 1.0]], "f"))
    np.testing.assert_array_equal(scores, [[0.0, 1.0]])


def test_whole_numbers_that_index_what_the_sizes_say_are_drawn_so_that_the_model_runs(tmp_path: Path) -> None:
    """As the graph that each node of a batch of graphs is in, which of one graph is 0."""
    nodes = [make_node("Shape", ["x"], ["s"]), make_node("Expand", ["zero", "s"], ["z"])]
    nodes += [make_node("ScatterElements", ["z", "i", "v"], ["y"], axis=0, reduction="add")]
    inputs: Ends = {"x": (FLOAT, [1, 3]), "i": (INT, [8, 3]), "v": (FLOAT, [8, 3])}
    model = onnx_model(nodes, inputs, {"y": (FLOAT, None)}, {"zero": np.zeros((1, 1), "f")}, 18)
    onnx.save(model, tmp_path / "m.onnx")
    imported, _ = deployed(str(tmp_path / "m.onnx"), tmp_path)
    assert not imported.inputs[1].any()


def test_all_open_inputs_are_named_at_once_but_those_that_follow(tmp_path: Path) -> None:
    nodes = [make_node("Mul", ["x", "m"], ["p"]), make_node("MatMul", ["p", "z"], ["y"])]
    inputs: Ends = {"x": (FLOAT, ["n", "t"]), "m": (FLOAT, ["n", "t"]), "z": (FLOAT, ["t", "d"])}
    onnx.save(onnx_model(nodes, inputs, {"y": (FLOAT, None)}), tmp_path / "m.onnx")
    with pytest.raises(InputError, match=r"'x' .*'z' .*: fix them with --input x=1x1 --input z=1x1, with your sizes"):
        load(str(tmp_path / "m.onnx"))
    assert load(str(tmp_path / "m.onnx"), {"x": (2, 3), "z": (3, 4)}).inputs[1].shape == (2, 3)
