"""A model for several sizes of its inputs: one library, which chooses, with kernels and weights once."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from onnx.helper import make_node

from raydgp.app import whole
from raydgp.app.deploy.kernels import Kernels
from raydgp.errors import InputError
from raydgp.models.folder import Library
from raydgp.settings import ModelSettings
from raydgp.targets import Target
from raydgp.targets.compiler import versions
from tests.support.onnx_models import FLOAT, onnx_model


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Embeddings, a dense layer, and a softmax over a length that is open."""
    rng = np.random.default_rng(0)
    weights = {"table": rng.standard_normal((50, 16), np.float32), "weight": rng.standard_normal((16, 8), np.float32)}
    nodes = [
        make_node("Gather", ["table", "ids"], ["rows"]),
        make_node("MatMul", ["rows", "weight"], ["dense"]),
        make_node("Softmax", ["dense"], ["y"], axis=1),
    ]
    path = tmp_path_factory.mktemp("sizes") / "lengths.onnx"
    model = onnx_model(nodes, {"ids": (TensorProto.INT64, [1, "length"])}, {"y": (FLOAT, None)}, weights)
    onnx.save(model, path)
    return str(path)


def test_one_library_chooses_by_the_shapes_of_its_inputs(source: str, tmp_path: Path) -> None:
    settings = ModelSettings(model=source, inputs={"ids": "1x{4,9,4}"})
    target = Target.here("llvm")
    kernels = Kernels(target, {})
    models = whole.imported(source, settings.sizes, lambda _: None)
    lowered, parts = whole.lowered(source, models, target, kernels.choose)
    assert [len(part.tasks) for part in parts] == [3, 3, 3]
    assert sorted(task.count for task in lowered.tasks) == [1, 1, 1, 2, 2, 2]  # equal kernels are one task
    assert len({task.name for task in lowered.tasks}) == 6
    assert len(lowered.parameters) == len(parts[0].parameters)
    manifest = {"target": target.to_dict(), "versions": versions(), "threads": 1}
    whole.write(tmp_path, source, models, lowered, kernels, manifest)
    library, reference = Library(tmp_path), onnxruntime.InferenceSession(source)
    for length in (9, 4, 9):
        ids = np.random.default_rng(length).integers(0, 50, (1, length))
        np.testing.assert_allclose(library(ids)[0], reference.run(None, {"ids": ids})[0], rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match=r"takes int64\[1, 4\] or int64\[1, 9\], not int64\[1, 5\]$"):
        library(np.zeros((1, 5), np.int64))


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"ids": "1x4..9"}, "write it as ids=1x3x224x224, one size for each dimension, or as ids=1x{64,128,256}"),
        ({"ids": "1x{4,}"}, "is not a shape"),
        ({"ids": "1x{0,4}"}, "is not a shape"),
        ({"ids": "1x{4,9}", "mask": "1x{4,9,16}"}, "vary together; here 2 of ids, 3 of mask"),
    ],
)
def test_other_forms_are_refused_with_a_line(inputs: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=r"shape|together") as failure:
        ModelSettings(model="lengths.onnx", inputs=inputs)
    assert said in str(failure.value)


def test_inputs_vary_together() -> None:
    settings = ModelSettings(model="m.onnx", inputs={"ids": "1x{4,9}", "mask": (1, (4, 9)), "x": "2"})
    assert settings.sizes == [{"ids": (1, n), "mask": (1, n), "x": (2,)} for n in (4, 9)]
    assert ModelSettings.model_validate(settings.model_dump(mode="json")) == settings
