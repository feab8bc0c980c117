"""A sample of the ONNX project's node tests; all of them by `python -m tests.models.onnx_nodes`."""

import pytest
from onnx.backend.test.case.test_case import TestCase

from tests.models.onnx_nodes import cases, outcome

BY_TVM = [
    "argmax_default_axis_example",
    "averagepool_2d_ceil",
    "averagepool_2d_pads_count_include_pad",
    "averagepool_2d_same_upper",
    "clip_example_expanded",
    "conv_with_autopad_same",
    "conv_with_strides_and_asymmetric_padding",
    "convinteger_with_padding",
    "convtranspose_output_shape",
    "cumsum_2d_axis_0",
    "depthtospace_example",
    "dynamicquantizelinear_min_adjusted",
    "einsum_batch_diagonal",
    "gathernd_example_int32",
    "gelu_tanh_1",
    "group_normalization_epsilon",
    "gru_batchwise",
    "instancenorm_epsilon",
    "isinf_negative",
    "layer_normalization_2d_axis1",
    "lppool_2d_same_lower",
    "lstm_bidirectional",
    "maxpool_with_argmax_2d_precomputed_pads",
    "onehot_with_axis",
    "pow_types_float32_int64",
    "prelu_broadcast",
    "qlinearconv",
    "reduce_max_bool_inputs",
    "resize_downsample_scales_cubic_antialias",
    "resize_upsample_sizes_nearest_floor_align_corners",
    "resize_tf_crop_and_resize_extrapolation_value",
    "rms_normalization_2d_axis0",
    "scatternd",
    "simple_rnn_bidirectional",
    "slice_neg_steps",
    "split_variable_parts_2d_opset18",
    "top_k_smallest",
    "upsample_nearest",
]
BESIDE = [
    "det_2d",
    "nonmaxsuppression_two_classes",
    "batchnorm_example_training_mode",
    "compress_0",
    "lstm_with_peepholes",
]


@pytest.fixture(scope="module")
def tests() -> dict[str, TestCase]:
    return cases()


@pytest.mark.parametrize("name", BY_TVM)
def test_tvm_computes_it(tests: dict[str, TestCase], name: str) -> None:
    assert outcome(tests[f"test_{name}"])[0] == "tvm"


@pytest.mark.parametrize("name", BESIDE)
def test_onnxruntime_computes_it_beside(tests: dict[str, TestCase], name: str) -> None:
    assert outcome(tests[f"test_{name}"])[0] == "beside"
