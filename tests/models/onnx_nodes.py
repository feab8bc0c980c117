"""The ONNX project's own node tests, put through our import: `python -m tests.models.onnx_nodes [NAME ...]`."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests

from raydgp.errors import InputError
from raydgp.models import beside
from raydgp.models.accuracy import difference
from raydgp.models.importing import onnx_files
from raydgp.models.importing.checking import runnable
from raydgp.models.importing.onnx_graph import translate
from raydgp.models.importing.onnx_parts import RANDOM
from raydgp.models.importing.onnx_running import Reference
from raydgp.models.importing.onnx_simplify import simplified
from raydgp.models.onnx_operators.registration import EXPANDED
from raydgp.models.refusal import refusal

_TYPES = {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.BOOL, onnx.TensorProto.FLOAT16}
_TYPES |= {getattr(onnx.TensorProto, f"{sign}INT{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)}

# inputs that are a part of the architecture, by operator and place: constants in a model, and here
_STRUCTURAL = {"Resize": (1, 2, 3), "Upsample": (1,), "Slice": (1, 2, 3, 4), "Pad": (1, 2, 3), "Reshape": (1,)}
_STRUCTURAL |= {"Expand": (1,), "Tile": (1,), "TopK": (1,), "Unsqueeze": (1,), "Squeeze": (1,), "Split": (1,)}
_STRUCTURAL |= {"CumSum": (1,), "OneHot": (1,), "ConstantOfShape": (0,), "Range": (0, 1, 2), "CenterCropPad": (1,)}
_STRUCTURAL |= {"AffineGrid": (1,), "MaxUnpool": (2,), "Dropout": (1, 2), "Trilu": (1,), "BlackmanWindow": (0,)}
_STRUCTURAL |= {
    "HannWindow": (0,),
    "HammingWindow": (0,),
    "MelWeightMatrix": (0, 1, 2, 3, 4),
    "DFT": (1, 2),
    "STFT": (1, 3),
}
_STRUCTURAL |= {"ConvInteger": (2, 3), "MatMulInteger": (2, 3), "QLinearConv": (1, 2, 4, 5, 6, 7)}
_STRUCTURAL |= {"QLinearMatMul": (1, 2, 4, 5, 6, 7)}
_STRUCTURAL |= {"Loop": (0, 1), "If": (0,), "CumProd": (1,), "Compress": (1,), "Col2Im": (1, 2)}


def cases() -> dict[str, TestCase]:
    """The tests that are of floats, whole numbers and truth values, by name."""
    found = {case.name: case for case in load_model_tests(kind="node")}
    return {name: case for name, case in sorted(found.items()) if case.model and _plain(case.model.graph)}


def _plain(graph: onnx.GraphProto) -> bool:
    kinds = [value.type for value in [*graph.input, *graph.output]]
    others = any("Gradient" in n.op_type or "preview" in n.domain or n.op_type in RANDOM for n in graph.node)
    others |= any(n.op_type == "Dropout" and len(n.input) == 3 and n.input[2] for n in graph.node)  # as in training
    return not others and all(kind.HasField("tensor_type") and kind.tensor_type.elem_type in _TYPES for kind in kinds)


def _array(value: Any) -> np.ndarray:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def _frozen(model: onnx.ModelProto, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Makes of inputs that are a part of the architecture constants; gives the others."""
    graph = model.graph
    reduced = {node.op_type: (1,) for node in graph.node if node.op_type.startswith("Reduce") and len(node.input) > 1}
    places = _STRUCTURAL | reduced
    names = {node.input[k] for node in graph.node for k in places.get(node.op_type, ()) if k < len(node.input)}
    left = []
    for value, array in zip(list(graph.input), inputs, strict=True):
        if value.name in names:
            graph.input.remove(value)
            graph.initializer.append(numpy_helper.from_array(np.asarray(array), value.name))
        else:
            left.append(array)
    return left


def outcome(case: TestCase) -> tuple[str, str]:
    """What became of a test, and why: `tvm`, `beside`, `refused`, `wrong`; `nowhere`: onnxruntime neither."""
    path, model = Path(f"{case.name}.onnx"), onnx.ModelProto()
    model.CopyFrom(case.model)
    try:
        model = onnx_files.tidied(path, model)
        assert case.data_sets
        inputs, expected = ([_array(value) for value in values] for values in case.data_sets[0])
        inputs = _frozen(model, inputs)
        shapes = {value.name: array.shape for value, array in zip(model.graph.input, inputs, strict=True)}
        onnx_files.fix_inputs(path, model, shapes)
        with refusal(path, "TVM cannot import the model"):
            translated = translate(simplified(model, EXPANDED), {})
            beside.register(translated.beside)
        actual = runnable(translated.module)(inputs)
        wrong = difference(actual, expected)
        if wrong:  # onnxruntime, which is our reference, differs from the standard in few cases
            feeds = {value.name: array for value, array in zip(model.graph.input, inputs, strict=True)}
            if difference(actual, Reference(model)(feeds)) is None:
                return (
                    "beside" if translated.beside else "tvm"
                ), f"as onnxruntime; the standard says otherwise: {wrong}"
    except InputError as error:
        return "refused" if _runs(case) else "nowhere", str(error)
    except Exception as error:
        return "wrong" if _runs(
            case
        ) else "nowhere", f"{type(error).__name__}: {str(error).strip().splitlines()[-1][:200] if str(error) else ''}"
    if wrong:
        return "wrong", f"{wrong} {translated.refused}"
    return ("beside", str(translated.refused)) if translated.beside else ("tvm", "")


def _runs(case: TestCase) -> bool:
    """Whether onnxruntime runs the model of a test as it is."""
    assert case.model
    assert case.data_sets
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(case.model.SerializeToString(), options)
        names = [value.name for value in session.get_inputs()]
        session.run(None, dict(zip(names, map(_array, case.data_sets[0][0]), strict=True)))
    except Exception:
        return False
    return True


def main() -> None:
    counts: Counter[str] = Counter()
    for name, case in cases().items():
        if sys.argv[1:] and not any(part in name for part in sys.argv[1:]):
            continue
        kind, reason = outcome(case)
        counts[kind] += 1
        print(kind, name, reason[:240], flush=True)
    print(dict(counts))


if __name__ == "__main__":
    main()
