"""Defaults that break a limit: the nearest valid configuration takes their place."""

import numpy as np

from raydgp.space import ConfigSpace, choice, split
from raydgp.workloads import Dense

WORKLOAD = Dense(n=4, k=8, m=64)
KNOBS = [split("tile", 64, 2), choice("rows", [1, 2, 4, 7]), choice("order", ["a", "b"])]


def made(check):
    return ConfigSpace(WORKLOAD, "llvm", "t.v1", KNOBS, {"tile": (1, 64), "rows": 7, "order": "a"}, check)


def test_a_valid_default_stays():
    space = made(lambda c: c["tile"][:, 1] * c["rows"][:, 0] <= 448)
    assert space.decode(space.default) == {"tile": (1, 64), "rows": 7, "order": "a"}


def test_the_fewest_knobs_change_by_the_least_ratio():
    space = made(lambda c: c["tile"][:, 1] * c["rows"][:, 0] <= 256)
    assert space.decode(space.default) == {"tile": (1, 64), "rows": 4, "order": "a"}
    space = made(lambda c: (c["tile"][:, 1] * c["rows"][:, 0] <= 8) & (c["rows"][:, 0] > 1))
    assert space.decode(space.default) == {"tile": (64, 1), "rows": 7, "order": "a"}
    space = made(lambda c: (c["tile"][:, 1] == 8) & (c["rows"][:, 0] == 2))
    assert space.decode(space.default) == {"tile": (8, 8), "rows": 2, "order": "a"}


def test_where_nothing_is_valid_it_stays_and_the_hash_knows_no_default():
    never = made(lambda c: np.zeros(len(c["rows"]), bool))
    assert never.decode(never.default) == {"tile": (1, 64), "rows": 7, "order": "a"}
    assert never.hash == made(None).hash
