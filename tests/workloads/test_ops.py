import json
import subprocess
import sys
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from raydgp.errors import InputError
from raydgp.workloads import Conv2d, Dense, DepthwiseConv2d, Workload, from_dict

small = st.integers(1, 9)
pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
pads = st.tuples(st.integers(0, 3), st.integers(0, 3))
shapes = st.fixed_dictionaries(
    {"n": small, "ci": small, "h": small, "w": small, "kh": st.integers(1, 4), "kw": st.integers(1, 4)}
    | {"stride": pair, "padding": pads, "dilation": pair}
)


def positions(extent: int, kernel: int, stride: int, padding: int, dilation: int) -> list[int]:
    """First elements of the windows that lie wholly in the padded input, one by one."""
    padded = range(-padding, extent + padding)
    return [p for p in padded if (p + padding) % stride == 0 and p + dilation * (kernel - 1) in padded]


@given(shapes)
def test_output_extents_are_the_windows_that_fit(s: dict[str, Any]) -> None:
    rows = positions(s["h"], s["kh"], s["stride"][0], s["padding"][0], s["dilation"][0])
    columns = positions(s["w"], s["kw"], s["stride"][1], s["padding"][1], s["dilation"][1])
    if not rows or not columns:
        with pytest.raises(InputError, match="does not fit"):
            Conv2d(**s, co=2)
        return
    conv = Conv2d(**s, co=2)
    assert (conv.oh, conv.ow) == (len(rows), len(columns))


@given(shapes, small)
def test_flops_count_every_multiply_add_twice(s: dict[str, Any], co: int) -> None:
    assume(s["h"] + 2 * s["padding"][0] > s["dilation"][0] * (s["kh"] - 1))
    assume(s["w"] + 2 * s["padding"][1] > s["dilation"][1] * (s["kw"] - 1))
    conv, depthwise = Conv2d(**s, co=co), DepthwiseConv2d(**s)
    taps = sum(1 for _ in product(range(conv.oh), range(conv.ow), range(s["kh"]), range(s["kw"])))
    assert conv.flops == 2 * s["n"] * co * s["ci"] * taps
    assert depthwise.flops == 2 * s["n"] * s["ci"] * taps


def test_flops_of_a_known_layer_and_of_dense() -> None:
    conv = Conv2d(n=1, ci=256, h=14, w=14, co=256, kh=3, kw=3, padding=(1, 1))
    assert conv.flops == 231_211_008
    assert Dense(n=2, k=3, m=5).flops == 60


@given(shapes, small)
def test_json_round_trip(s: dict[str, Any], co: int) -> None:
    try:
        workloads: list[Workload] = [Conv2d(**s, co=co), DepthwiseConv2d(**s), Dense(n=1, k=co, m=3)]
    except InputError:
        assume(False)
    for workload in workloads:
        again = from_dict(json.loads(json.dumps(workload.to_dict())))
        assert again == workload
        assert hash(again) == hash(workload)


CONV: dict[str, Any] = {"n": 1, "ci": 8, "h": 14, "w": 14, "co": 8, "kh": 3, "kw": 3}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"n": 0}, "n=0"),
        ({"ci": -4}, "ci=-4"),
        ({"co": 2.5}, "co=2.5"),
        ({"h": "14"}, "h='14'"),
        ({"kh": True}, "kh=True"),
        ({"w": None}, "w=None"),
        ({"stride": (0, 1)}, "stride"),
        ({"stride": 2}, "stride"),
        ({"stride": (1, 1, 1)}, "stride"),
        ({"padding": (-1, 0)}, "padding"),
        ({"padding": (1.0, 1.0)}, "padding"),
        ({"dilation": (True, 1)}, "dilation"),
        ({"kh": 15}, "does not fit"),
        ({"dilation": (7, 1)}, "does not fit"),
    ],
)
def test_impossible_shapes_are_refused_by_name(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=field) as error:
        Conv2d(**(CONV | change))
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=field):
        from_dict({"op": "conv2d", **CONV, **change})


def test_numbers_of_numpy_are_refused_rather_than_break_json() -> None:
    with pytest.raises(InputError, match="ci="):
        Conv2d(**(CONV | {"ci": np.int64(8)}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "unknown op None"),
        ({"op": "conv3d"}, "known are conv2d, depthwise_conv2d"),
        ({"op": "dense", "n": 1, "k": 2}, "'m'"),
        ({"op": "dense", "n": 1, "k": 2, "m": 3, "groups": 2}, "groups"),
        ({"op": ["dense"]}, "unknown op"),
    ],
)
def test_what_is_not_a_workload_is_refused(data: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_dict(data)


def test_pairs_may_be_lists() -> None:
    assert Conv2d(**(CONV | {"stride": [2, 1]})) == Conv2d(**(CONV | {"stride": (2, 1)}))


def test_group_keys() -> None:
    def group(**change: Any) -> str:
        return Conv2d(**(CONV | change)).group

    base = group()
    assert group(ci=64, co=32, h=28, w=7, padding=(1, 1), n=4) == base
    assert group(stride=(2, 2)) != base
    assert group(kh=5, kw=5) != base
    assert group(kh=1, kw=3) != group(kh=3, kw=1)
    assert group(kh=1, kw=1) == group(kh=1, kw=1, stride=(2, 2))
    depthwise = {k: v for k, v in CONV.items() if k != "co"}
    assert DepthwiseConv2d(**depthwise).group != base
    assert Dense(n=1, k=2, m=3).group == Dense(n=64, k=5, m=6).group


def test_workloads_are_frozen_values() -> None:
    workload = Dense(n=1, k=2, m=3)
    with pytest.raises(AttributeError):
        workload.n = 2  # type: ignore[misc]
    assert {workload, Dense(n=1, k=2, m=3)} == {workload}
    assert str(workload) == "dense(n=1, k=2, m=3)"


def test_operators_are_known_to_a_process_that_only_reads_them():
    """They register themselves while the room is imported, so that must not be put off."""
    script = "from raydgp.workloads import from_dict; from_dict({'op': 'dense', 'n': 1, 'k': 4, 'm': 4})"
    subprocess.run([sys.executable, "-c", script], check=True)
