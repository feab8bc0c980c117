"""The CUDA spaces against AutoTVM's own example, the papers' counts, and the limits written out one by one."""

import json

import numpy as np
import pytest

from raydgp import Conv2d, Dense, DepthwiseConv2d, GroupConv2d, config_space
from raydgp.errors import InputError
from raydgp.space import ConfigSpace
from raydgp.targets import Target
from raydgp.workloads import Fused, Workload, from_dict, zoo

# AutoTVM's record of ResNet-18's rb4-conv2; it writes -1 for the first factor of a split.
AUTOTVM_LINE = """{"config": {"index": 822450, "code_hash": null, "entity": [["tile_f", "sp", [-1, 1, 32, 2]],
["tile_y", "sp", [-1, 1, 7, 1]], ["tile_x", "sp", [-1, 1, 7, 1]], ["tile_rc", "sp", [-1, 8]],
["tile_ry", "sp", [-1, 3]], ["tile_rx", "sp", [-1, 3]], ["auto_unroll_max_step", "ot", 1500],
["unroll_explicit", "ot", 1]]}}"""

CONV = Conv2d(n=1, ci=60, h=63, w=30, co=24, kh=3, kw=5, stride=(2, 1), padding=(1, 2), dilation=(2, 2))
DEPTHWISE = DepthwiseConv2d(n=1, ci=64, h=28, w=30, kh=3, kw=3, stride=(2, 1), padding=(1, 1))


def test_autotvms_example_index_decodes_to_its_entity() -> None:
    config = json.loads(AUTOTVM_LINE)["config"]
    space = config_space(zoo.tasks("resnet18")[0].workload, "cuda")
    knobs = space.decode(config["index"])
    for name, kind, value in config["entity"]:
        assert (list(knobs[name][1:]) if kind == "sp" else knobs[name]) == (value[1:] if kind == "sp" else value)
    assert list(knobs) == [name for name, _, _ in config["entity"]]
    assert knobs["tile_f"][0] == 8
    assert space.encode(knobs) == config["index"]


def test_feature_vectors_have_the_papers_length_and_order() -> None:
    conv, depthwise = config_space(CONV, "cuda"), config_space(DEPTHWISE, "cuda")
    assert conv.features([0, 1]).shape == (2, 20)
    assert depthwise.features([0, 1]).shape == (2, 14)
    assert [k.name for k in conv.knobs] == [
        "tile_f",
        "tile_y",
        "tile_x",
        "tile_rc",
        "tile_ry",
        "tile_rx",
        "auto_unroll_max_step",
        "unroll_explicit",
    ]
    assert [k.name for k in depthwise.knobs] == [
        "tile_f",
        "tile_y",
        "tile_x",
        "auto_unroll_max_step",
        "unroll_explicit",
    ]
    assert conv.feature_names[:4] == ["tile_f.0", "tile_f.1", "tile_f.2", "tile_f.3"]
    assert depthwise.knobs[3].labels == (0, 256, 1500)


def conv_is_valid(w: Conv2d | DepthwiseConv2d, knobs: dict[str, tuple[int, ...]]) -> bool:
    """The limits of a launch, of shared memory and of registers, counted element by element where it matters."""
    (_, vf, tf, f), (_, vy, ty, y), (_, vx, tx, x) = knobs["tile_f"], knobs["tile_y"], knobs["tile_x"]
    rc, ry, rx = (knobs[n][1] for n in ("tile_rc", "tile_ry", "tile_rx")) if isinstance(w, Conv2d) else (1, w.kh, w.kw)
    channels = rc if isinstance(w, Conv2d) else vf * tf * f
    rows = {o * w.stride[0] + k * w.dilation[0] for o in range(vy * ty * y) for k in (0, ry - 1)}
    columns = {o * w.stride[1] + k * w.dilation[1] for o in range(vx * tx * x) for k in (0, rx - 1)}
    data = channels * (max(rows) - min(rows) + 1) * (max(columns) - min(columns) + 1)
    weights = vf * tf * f * rc * ry * rx
    launches = tf * ty * tx <= 1024 and tf <= 64 and max(vf, vy, vx) <= 8
    sums = vf * f * vy * y * vx * x
    return launches and 4 * (data + weights) <= 48 * 1024 and sums <= 255 and sums * tf * ty * tx <= 65536


@pytest.mark.parametrize(
    "workload",
    [CONV, DEPTHWISE, *(zoo.tasks("resnet18")[i].workload for i in (0, 4, 7)), zoo.tasks("mobilenet_v1")[11].workload],
    ids=str,
)
def test_validity_against_a_scalar_account(workload: Conv2d | DepthwiseConv2d) -> None:
    space = config_space(workload, "cuda")
    indices = space.sample(1500, np.random.default_rng(0))
    expected = [conv_is_valid(workload, space.decode(i)) for i in indices.tolist()]
    assert space.valid(indices).tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_the_intended_space_of_dense_for_large_batches() -> None:
    """6 x 16 x 45 as computed in the papers' facts, 3.7, and each axis by brute force."""
    space = config_space(Dense(n=64, k=1024, m=1024), "cuda")
    assert [knob.size for knob in space.knobs] == [6, 16, 45]
    assert space.size == 4320
    for knob, extent in zip(space.knobs[:2], (64, 1024), strict=True):
        powers = [2**i for i in range(11)]
        by_hand = {
            (extent // (v * t * i), v, t, i)
            for v in powers
            for t in powers
            for i in powers
            if v * t * i in (64, 128) and extent % (v * t * i) == 0 and 2 <= v <= 64 and 8 <= t <= 64
        }
        assert set(knob.labels) == by_hand


def test_dense_for_small_batches_splits_the_reduction() -> None:
    space = config_space(Dense(n=1, k=2048, m=1000), "cuda")
    assert space.size == 12
    assert [space.decode(i)["tile_k"][1] <= 1024 for i in range(12)] == space.valid(np.arange(12)).tolist()


def every_workload() -> list[Workload]:
    found = {task.workload for network in zoo.NETWORKS for task in zoo.tasks(network)}
    return [*sorted(found, key=str), Dense(n=1, k=512, m=1000), Dense(n=64, k=1024, m=1024), Dense(n=37, k=97, m=101)]


@pytest.mark.parametrize("workload", every_workload(), ids=str)
def test_the_default_configuration_can_run(workload: Workload) -> None:
    space: ConfigSpace = config_space(workload, "cuda")
    assert 0 <= space.default < space.size
    assert space.valid([space.default]).all()


@pytest.mark.parametrize(("channels", "size", "count"), [(64, 56, 352_800), (256, 14, 89_100)])
def test_winograds_space_has_the_published_size(channels: int, size: int, count: int) -> None:
    workload = Conv2d(n=1, ci=channels, h=size, w=size, co=channels, kh=3, kw=3, padding=(1, 1))
    space = config_space(workload, "cuda", "winograd")
    assert space.size == count
    assert space.hash != config_space(workload, "cuda").hash
    assert space.valid([space.default]).all()


def test_winograd_is_offered_only_where_it_can_be() -> None:
    with pytest.raises(InputError, match="winograd needs a square kernel"):
        config_space(CONV, "cuda", "winograd")
    with pytest.raises(InputError, match="no schedule template"):
        config_space(DEPTHWISE, "cuda", "winograd")
    with pytest.raises(InputError, match="winograd needs a square kernel of 3 to 5"):
        config_space(CONV, "llvm", "winograd")


def test_groups_divide_both_channels_and_their_space_has_all_knobs() -> None:
    workload = GroupConv2d(n=2, ci=12, h=8, w=6, co=18, kh=3, kw=3, groups=3, padding=(1, 1))
    space = config_space(workload, "cuda")
    # splits of 2, 3, 6, 8, 6 into 4, 2, 4, 4, 4 factors, of 4, 3, 3 into 2, then the three choices
    assert space.size == 4 * 2 * 16 * 20 * 16 * 3 * 2 * 2 * 3 * 2 * 2
    assert space.features([0]).shape == (1, 27)
    assert from_dict(workload.to_dict()) == workload
    with pytest.raises(InputError, match="groups=5 must divide"):
        GroupConv2d(n=1, ci=12, h=8, w=6, co=18, kh=3, kw=3, groups=5)


LIMITED = [
    (CONV, "direct"),
    (DEPTHWISE, "direct"),
    (GroupConv2d(n=2, ci=12, h=8, w=6, co=18, kh=3, kw=3, groups=3, padding=(1, 1)), "direct"),
    (Dense(n=1, k=2048, m=1000), "direct"),
    (Dense(n=64, k=1024, m=1024), "direct"),
    (Conv2d(n=1, ci=64, h=56, w=56, co=64, kh=3, kw=3, padding=(1, 1)), "winograd"),
    (CONV, "tensor_core"),
    (Dense(n=64, k=1024, m=1024), "tensor_core"),
]


@pytest.mark.parametrize(("workload", "algorithm"), LIMITED, ids=str)
def test_a_targets_own_limits_are_kept_in_the_same_space(workload: Workload, algorithm: str) -> None:
    common = config_space(workload, "cuda", algorithm)
    small = Target.from_dict({"kind": "cuda", "max_threads_per_block": 256, "max_shared_memory_per_block": 16 * 1024})
    limited = config_space(workload, small, algorithm)
    assert limited.hash == common.hash
    indices = common.sample(3000, np.random.default_rng(0))
    before, now = common.valid(indices), limited.valid(indices)
    assert not (now & ~before).any()
    assert 0 < now.sum() < before.sum()
    assert limited.valid([limited.default]).all()


def test_a_target_that_names_no_limit_or_more_shared_memory_than_a_static_array_may_have_has_the_common_ones() -> None:
    common = config_space(CONV, "cuda")
    indices = common.sample(3000, np.random.default_rng(0))
    for attributes in ({"arch": "sm_90"}, {"max_shared_memory_per_block": 227 * 1024}):
        space = config_space(CONV, Target.from_dict({"kind": "cuda", **attributes}))
        assert (space.hash, space.default) == (common.hash, common.default)
        np.testing.assert_array_equal(space.valid(indices), common.valid(indices))


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
def test_a_fused_layer_has_its_anchors_space(algorithm) -> None:
    anchor = Conv2d(n=1, ci=16, h=14, w=14, co=32, kh=3, kw=3, padding=(1, 1))
    layer = Fused(anchor=anchor, epilogue=("bias", "relu"), algorithm=algorithm)
    for target in ("cuda", {"kind": "cuda", "max_threads_per_block": 256}):
        space, own = config_space(layer, target), config_space(anchor, target, algorithm)
        assert (space.template, space.default) == (own.template, own.default)
        assert [knob.labels for knob in space.knobs] == [knob.labels for knob in own.knobs]
        indices = own.sample(300, np.random.default_rng(0))
        assert (space.valid(indices) == own.valid(indices)).all()
        assert space.hash != own.hash
        assert from_dict(layer.to_dict()) == layer


def test_layers_that_no_cuda_template_serves_are_refused() -> None:
    with pytest.raises(InputError, match="no schedule template"):
        config_space(Fused(anchor=CONV, block_in=4, block_out=4), "cuda")
    with pytest.raises(InputError, match="no schedule template"):
        config_space(Fused(anchor=DEPTHWISE, algorithm="winograd"), "cuda")
    with pytest.raises(InputError, match="no schedule template"):
        config_space(Fused(anchor=DEPTHWISE, block_in=8, block_out=8), "cuda")
