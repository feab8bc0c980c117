"""What a deployed model is compared with computes what the model does, each by its own library alone."""

import numpy as np
import pytest

from raydgp.errors import InputError
from raydgp.rivals import names, ways
from tests.support.processes import python


@pytest.mark.parametrize("way", ["onnxruntime", "openvino"])
def test_a_rival_computes_the_model(way):
    pytest.importorskip(way)
    run, flat, expected = ways.make(way, "transformer_block", "llvm", 1)
    (actual,), (right,) = flat(run()), expected
    assert np.abs(actual - right).max() < 1e-4 * np.abs(right).max()


def test_a_rival_of_processors_is_refused_for_a_gpu():
    pytest.importorskip("openvino")
    with pytest.raises(InputError, match="openvino' runs on CPUs"):
        ways.make("openvino", "transformer_block", "cuda", 1)


def test_the_names_of_the_ways_load_no_library():
    code = "import sys, raydgp.rivals.ways; print({'onnxruntime', 'openvino', 'torch', 'tvm'} & set(sys.modules))"
    assert python("-c", code).stdout.strip() == "set()"


def test_torch_freezes_models_for_processors_alone():
    assert set(names.torch_ways("llvm")) - set(names.torch_ways("cuda")) == {"torch frozen"}
