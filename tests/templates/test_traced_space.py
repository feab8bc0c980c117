import json

import numpy as np
import pytest

from raydgp import config_space
from raydgp.errors import InputError
from raydgp.templates.traced.space import decided
from raydgp.workloads import TracedKernel

INSTRUCTIONS = [["GetSBlock", [], ["pad", "main"], ["b0"]]]
TILE = {"name": "tile_0", "tile": 12, "parts": 2, "widest": 4}
UNROLL = {"name": "unroll", "choice": [0, 16, 64]}
PLACE = {"name": "place_pad", "place": [-2, -1, 3]}
OTHER = {"name": "tile_0", "tile": 6, "parts": 2, "widest": 4}


def sketch(*knobs, decisions):
    return {"trace": [INSTRUCTIONS, [[i + 1, made] for i, made in enumerate(decisions)]], "knobs": list(knobs)}


def workload(*sketches):
    return TracedKernel(name="k", code="", sketches=json.dumps(sketches), operations=7)


ONE = workload(sketch(TILE, UNROLL, PLACE, decisions=[[3, 4], 2, -1]))
TWO = workload(sketch(TILE, UNROLL, decisions=[[6, 2], 1]), sketch(OTHER, UNROLL, PLACE, decisions=[[2, 3], 0, -2]))


def test_the_default_is_what_the_trace_decides():
    space = config_space(ONE, "llvm")
    assert space.decode(space.default) == {"tile_0": (3, 4), "unroll": 64, "place_pad": -1}
    assert space.template == "llvm.sketched.v1"


def test_wide_innermost_tiles_are_left_out():
    space = config_space(ONE, "llvm")
    assert [knob.labels for knob in space.knobs] == [((12, 1), (6, 2), (4, 3), (3, 4)), (0, 16, 64), (-2, -1, 3)]
    assert space.size == 4 * 3 * 3
    assert space.features(np.array([space.default])).tolist() == [[3, 4, 64, 1]]


@pytest.mark.parametrize("kernel", [ONE, TWO], ids=["one sketch", "two sketches"])
def test_index_and_knobs_are_each_others_inverse(kernel):
    space = config_space(kernel, "llvm")
    assert [space.encode(space.decode(i)) for i in range(space.size)] == list(range(space.size))


def test_a_configuration_is_the_trace_with_its_decisions():
    knobs = {"tile_0": (12, 1), "unroll": 16, "place_pad": 3}
    assert decided(ONE, knobs) == [INSTRUCTIONS, [[1, [12, 1]], [2, 1], [3, 3]]]


def test_knobs_of_the_same_options_are_shared_by_the_sketches():
    space = config_space(TWO, "llvm")
    assert [knob.name for knob in space.knobs] == ["sketch", "tile_0", "unroll", "tile_0_of_1", "place_pad"]
    knobs = {"sketch": 1, "tile_0": (12, 1), "unroll": 64, "tile_0_of_1": (3, 2), "place_pad": -1}
    assert decided(TWO, knobs)[1] == [[1, [3, 2]], [2, 2], [3, -1]]


def test_every_schedule_is_valid_once():
    space = config_space(TWO, "llvm")
    valid = np.flatnonzero(space.valid(np.arange(space.size)))
    assert len(valid) == 4 * 3 + 3 * 3 * 3
    traces = [json.dumps([space.decode(int(i))["sketch"], decided(TWO, space.decode(int(i)))]) for i in valid]
    assert len(set(traces)) == len(valid)
    assert space.valid(np.array([space.default])).all()


def test_nothing_to_decide_is_a_space_of_one():
    space = config_space(workload(sketch(decisions=[])), "llvm")
    assert (space.size, space.decode(0)) == (1, {"sketch": 0})
    assert space.features(np.array([0])).tolist() == [[0]]
    assert space.valid(np.array([0])).all()
    assert isinstance(space.workload, TracedKernel)
    assert decided(space.workload, space.decode(0)) == [INSTRUCTIONS, []]


@pytest.mark.parametrize(
    "sketches", ["", "[]", "{}", "[1]", '[{"trace": [[], []]}]', '[{"trace": [[], []], "knobs": [{"name": "a"}]}]']
)
def test_what_are_no_sketches_is_bad_input(sketches):
    with pytest.raises(InputError, match="sketches"):
        config_space(TracedKernel(name="k", code="", sketches=sketches, operations=1), "llvm")


def test_on_a_gpu_tiles_make_a_block_that_can_run():
    rows = {"name": "tile_0", "tile": 64, "parts": 5, "widest": 64}
    columns = {"name": "tile_1", "tile": 128, "parts": 5, "widest": 64}
    made = [[4, 1, 8, 1, 2], [8, 1, 16, 1, 1]]
    space = config_space(workload(sketch(rows, columns, decisions=made), sketch(UNROLL, decisions=[0])), "cuda")
    assert (space.target, space.template) == ("cuda", "cuda.sketched.v1")
    indices = space.sample(500, np.random.default_rng(0))
    for index, valid in zip(indices.tolist(), space.valid(indices), strict=True):
        knobs = space.decode(index)
        _, vthreads, threads, _, _ = (a * b for a, b in zip(knobs["tile_0"], knobs["tile_1"], strict=True))
        first = {name: knob.labels[0] for name, knob in zip(knobs, space.knobs, strict=True)}
        if knobs["sketch"] == 0:
            right = vthreads <= 8 and 32 <= threads <= 1024 and knobs["unroll"] == first["unroll"]
        else:
            right = knobs == {**first, "sketch": 1, "unroll": knobs["unroll"]}
        assert valid == right, knobs
    assert space.valid(np.array([space.default])).all()
