"""What a search says of itself: how likely it has found the best."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from raydgp import Dense, config_space
from raydgp.records import TaskEntry
from raydgp.records.confidence import LEAST, confidence, expected_line, figures
from raydgp.records.summary import RunSummary
from raydgp.space import ConfigSpace
from tests.support.journals import record

LATENCIES = st.lists(st.one_of(st.floats(1e-6, 1.0), st.just(math.inf)), min_size=LEAST, max_size=60)


def said(latencies_s: list[float], size: int = 4000) -> float:
    best_s = np.minimum.accumulate(latencies_s).tolist()
    return confidence(best_s, [each for each in latencies_s if math.isfinite(each)], size)


def test_the_figures_are_counts() -> None:
    best_s = [math.inf, 4.0, 4.0, 3.99, 2.0, 1.995, 1.995]
    found = np.exp(figures(best_s, [4.0, 3.99, 2.0, 1.995, 2.03], 5000))
    assert found.round(6).tolist() == [round(math.e, 6), 7, 3, 5]  # 2.0, 1.995 and 2.03


@given(LATENCIES)
def test_it_is_a_chance_where_something_ran_often_enough(latencies_s: list[float]) -> None:
    value = said(latencies_s)
    assert math.isnan(value) if all(map(math.isinf, latencies_s)) else 0 < value < 1
    assert math.isnan(said(latencies_s[: LEAST - 1]))


@given(st.floats(1e-3, 1e3), LATENCIES)
def test_the_unit_of_time_makes_no_difference(factor: float, latencies_s: list[float]) -> None:
    scaled = said([factor * each for each in latencies_s])
    value = said(latencies_s)
    assert math.isnan(value) == math.isnan(scaled)


def test_longer_searches_with_more_of_the_best_are_surer() -> None:
    short = [2.0, 1.5, 1.0, *[1.5] * 9]
    assert said([*short, *[1.5] * 72]) > said(short)
    assert said([*short, *[1.01] * 72]) > said([*short, *[1.5] * 72])


def test_of_a_larger_space_it_says_less() -> None:
    search = [2.0, 1.5, 1.0, *[1.01] * 60]
    chances = [said(search, size) for size in (1, 1000, 80_000, 10**12)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 1.5 * chances[2] > 0
    assert chances[3] == chances[2]  # no such space was looked at


def test_the_line_counts_on_what_is_likely_and_names_where_most_is_open() -> None:
    names = ("short", "long")
    workloads = {name: Dense(n=1, k=64, m=64 + place) for place, name in enumerate(names)}
    spaces = {name: config_space(workload, "llvm") for name, workload in workloads.items()}
    summary = RunSummary([TaskEntry.of(name, 1, spaces[name]) for name in names])
    assert expected_line(summary) == ""
    for name, seconds in (("short", 1e-6), ("long", 1e-3)):
        for index in range(LEAST):
            said = replace(record(index), context=replace(record(index).context, **told(name, spaces[name])))
            measured = structs.replace(said.measurement, times_s=(seconds,))
            assert summary.add(replace(said, measurement=measured))
    chance, other = (summary.tasks[name].confidence for name in ("long", "short"))
    assert 0 < chance < 1
    assert 0 < other < 1
    line = expected_line(summary)
    assert f"{chance + other:.1f} of 2 layers" in line
    assert f"most is open at long ({chance:.0%})" in line


def told(name: str, space: ConfigSpace) -> dict[str, Any]:
    return {"task": name, "workload": space.workload.to_dict(), "space_hash": space.hash}
