"""The tensor-core spaces: what is in them, against the limits written out, and who gets them."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest

from raydgp import Conv2d, Dense, DepthwiseConv2d, config_space, zoo
from raydgp.errors import InputError
from raydgp.targets import Target
from raydgp.templates.columns import machine_features
from raydgp.templates.spaces import config_spaces
from raydgp.workloads import Workload

CONV = Conv2d(n=2, ci=20, h=15, w=14, co=40, kh=3, kw=3, stride=(2, 1), padding=(1, 1))  # M 224, N 40, K 9 * 24
DENSE = Dense(n=500, k=1000, m=1000)
WORKLOADS = [CONV, DENSE, Dense(n=1, k=3, m=5), zoo.tasks("resnet18")[0].workload, zoo.tasks("vgg16")[0].workload]


@pytest.mark.parametrize(
    ("workload", "rows", "columns", "depth"), [(CONV, 224, 40, 216), (DENSE, 500, 1000, 1000)], ids=str
)
def test_the_space_is_the_product_of_its_options(workload: Workload, rows: int, columns: int, depth: int) -> None:
    space = config_space(workload, "cuda", "tensor_core")

    def tiles(extent: int, *options: tuple[int, ...]) -> set[tuple[int, ...]]:
        """Blocks that cover the extent, of a tile that is less than twice as long as the fragments that cover it."""
        covered = -(-extent // 16)
        every = {option: int(np.prod(option)) for option in product(*options)}
        return {(-(-covered // tile), *option) for option, tile in every.items() if tile < 2 * covered}

    expected: dict[str, set[Any]] = {
        "tile_m": tiles(rows, (1, 2, 4, 8), (1, 2, 4)),
        "tile_n": tiles(columns, (1, 2, 4, 8), (1, 2, 4)),
        "tile_k": tiles(depth, (1, 2, 4, 8)),
        "vector": {1, 2, 4, 8},
        "offset": {0, 8, 16},
        "auto_unroll_max_step": {0, 512, 1500},
        "unroll_explicit": {0, 1},
    }
    assert {knob.name: set(knob.labels) for knob in space.knobs} == expected
    assert space.size == math.prod(len(options) for options in expected.values())
    assert space.features([0, space.size - 1]).shape == (2, 12)
    assert space.feature_names[:4] == ["tile_m.0", "tile_m.1", "tile_m.2", "tile_n.0"]


def test_validity_against_a_scalar_account() -> None:
    space = config_space(CONV, "cuda", "tensor_core")
    indices = space.sample(1500, np.random.default_rng(0))
    expected = []
    for knobs in map(space.decode, indices.tolist()):
        (_, warps_m, m), (_, warps_n, n), (_, k) = knobs["tile_m"], knobs["tile_n"], knobs["tile_k"]
        row_bytes = 2 * (16 * k + knobs["offset"])
        shared_bytes = (16 * warps_m * m + 16 * warps_n * n) * row_bytes
        expected.append(32 * warps_m * warps_n <= 1024 and shared_bytes <= 48 * 1024)
    assert space.valid(indices).tolist() == expected
    assert 0 < sum(expected) < len(expected)


@pytest.mark.parametrize("workload", WORKLOADS, ids=str)
def test_the_default_is_four_warps_with_wide_copies_or_what_a_small_layer_has_of_it(workload: Workload) -> None:
    space = config_space(workload, "cuda", "tensor_core")
    knobs = space.decode(space.default)
    assert space.valid([space.default]).all()
    assert (knobs["vector"], knobs["offset"]) == (8, 8)
    assert knobs["tile_m"][1:] == ((1, 1) if isinstance(workload, Dense) and workload.n == 1 else (2, 2))


def test_context_says_how_much_of_the_work_is_waste() -> None:
    space = config_space(Dense(n=17, k=16, m=16), "cuda", "tensor_core")
    names, rows = machine_features(space, np.arange(space.size))
    waste = dict(zip(names, rows.T, strict=True))["waste"]
    assert waste.min() == pytest.approx(32 / 17)  # two fragments for 17 rows
    assert (rows[:, space.features([0]).shape[1] :] > 0).all()


def test_it_is_taken_only_when_it_is_asked_for() -> None:
    """Its results are those of inputs rounded to float16."""
    assert config_space(DENSE, "cuda").template == "cuda.dense_large_batch.v1"
    spaces = config_spaces(DENSE, "cuda")
    assert [space.template for space in spaces] == ["cuda.dense_large_batch.v1", "cuda.dense_tensor_core.v1"]
    assert spaces[1] is config_space(DENSE, "cuda", "tensor_core")
    assert [space.template for space in config_spaces(DENSE, "llvm")] == ["llvm.dense_packed.v1"]


def test_it_is_offered_only_where_it_can_be() -> None:
    old = Target.from_dict({"kind": "cuda", "arch": "sm_61"})
    with pytest.raises(InputError, match="needs a GPU of sm_70 or newer, not sm_61"):
        config_space(DENSE, old, "tensor_core")
    assert [space.template for space in config_spaces(DENSE, old)] == ["cuda.dense_large_batch.v1"]
    assert config_space(DENSE, {"kind": "cuda", "arch": "sm_90a"}, "tensor_core").size
    for workload, target in ((DENSE, "llvm"), (DepthwiseConv2d(n=1, ci=8, h=8, w=8, kh=3, kw=3), "cuda")):
        with pytest.raises(InputError, match="no schedule template"):
            config_space(workload, target, "tensor_core")
