"""What is said of many searches: medians, ratios, the paired test, the papers' tables, the score over time."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from raydgp.app.compare import tables, writing
from raydgp.app.compare.published import published
from raydgp.app.compare.score import RandomSearch
from raydgp.app.compare.summary import by_runners, paired_p, starts, summary
from raydgp.reports import study_figures


def runs(runners=1, **counts):
    rows = [
        {"task": task, "strategy": strategy, "seed": seed, "runners": runners, "sampled": 100, "score": 0.5}
        | {f"{what}_{share}": float(count) for what in ("measurements", "seconds") for share in (95, 99, 100)}
        | {"seconds": 10.0, "gflops": 5.0, "calls": 1, "latency_s": 0.001}
        for strategy, by_task in counts.items()
        for task, count in enumerate(by_task)
        for seed in range(3)
    ]
    return pd.DataFrame(rows).astype({"task": str})


def test_ratios_are_taken_task_by_task():
    table = summary(runs(autotvm=[10, 100, 1000], ours=[5, 20, 2000]), "autotvm").set_index("strategy")
    assert table.loc["ours", "measurements_99"] == 20
    assert table.loc["ours", "ratio_99"] == 0.5
    assert table.loc["ours", "worst_ratio_99"] == 2.0
    assert table.loc["autotvm", "worst_ratio_99"] == 1.0
    low, high = table.loc["ours", ["measurements_99_low", "measurements_99_high"]].to_numpy(float)
    assert low <= 20 <= high


def test_what_neither_reaches_makes_no_difference():
    table = summary(runs(autotvm=[10, np.inf, np.inf], ours=[5, np.inf, 8]), "autotvm").set_index("strategy")
    assert (table.loc["ours", "ratio_99"], table.loc["ours", "worst_ratio_99"]) == (0.5, 1.0)
    assert table.loc["autotvm", "measurements_99"] == np.inf
    assert table.loc["autotvm", "never_99"] == pytest.approx(2 / 3)


def test_what_never_got_there_is_said_in_words(tmp_path):
    table = summary(runs(autotvm=[10, np.inf, np.inf], ours=[np.inf, 9, 8]), "autotvm").set_index("strategy")
    assert writing.written(table.loc[["ours"]].reset_index()).iloc[0][["of baseline", "worst task"]].tolist() == [
        "alone",
        "never",
    ]
    neither = summary(runs(autotvm=[np.inf, np.inf], ours=[np.inf, np.inf]), "autotvm")
    shown = writing.written(neither)
    assert set(shown["of baseline"]) == {"-"}
    assert writing.censored(shown)
    writing.write({"summary": neither}, tmp_path)
    assert (tmp_path / "summary.md").read_text().rstrip().endswith(writing.CENSORED)
    assert not writing.censored(writing.written(summary(runs(autotvm=[10], ours=[5]), "autotvm")))


def test_starts_are_the_first_measurements_in_descending_order():
    shares = np.random.default_rng(0).permutation(100) / 100
    found = starts(shares)
    first = sorted(shares[:64], reverse=True)
    assert [found[f"start_{rank}"] for rank in (1, 8, 48, 64)] == [first[at] for at in (0, 7, 47, 63)]
    assert list(starts(shares[:5])) == ["start_1", "start_2", "start_4"]


def test_the_paired_test_is_wilcoxons_and_says_nothing_of_few_tasks():
    ratios = np.array([0.5, 0.4, 0.9, 0.7, 0.3, 0.8, 1.1, 1.0])
    assert paired_p(ratios) == pytest.approx(wilcoxon(np.log(ratios)).pvalue)
    assert paired_p(np.array([*ratios, 0.0])) < paired_p(ratios)  # the baseline never got there
    assert math.isnan(paired_p(ratios[:5]))
    assert math.isnan(paired_p(np.ones(20)))


def test_parallel_asking_is_held_against_the_fewest_runners():
    both = pd.concat([runs(1, ours=[10, 20]), runs(8, ours=[20, 20]).assign(seconds_99=5.0)])
    table = by_runners(both).set_index("runners")
    assert list(table.loc[1, ["ratio_99", "worst_ratio_99", "faster"]]) == [1, 1, 1]
    assert list(table.loc[8, ["ratio_99", "worst_ratio_99", "faster"]]) == [1.5, 2.0, 3.0]


def test_the_published_hypervolumes_are_those_of_the_papers_formula():
    table = published().set_index(["source", "strategy"])
    autotvm, dgp = table.loc[[("ICCV 2021", "autotvm")]], table.loc[[("ICCV 2021", "dgp")]]
    ratios = (dgp[what].to_numpy() / autotvm[what].to_numpy() for what in ("search_s", "latency_ms"))
    assert len(dgp) == 4
    assert tables.hypervolume(*ratios) == pytest.approx(dgp["hypervolume"].to_numpy(), rel=2e-3)  # of rounded figures


@given(st.floats(0, 3), st.floats(0, 3))
def test_what_is_worse_in_one_dominates_nothing(time, latency):
    assert 0 <= tables.hypervolume(time, latency) <= 100
    assert (tables.hypervolume(time, latency) > 0) <= (time < 1 and latency < 1)


def test_networks_are_sums_over_calls_beside_the_papers_of_the_same_name():
    some = runs(autotvm=[1, 1], ours=[1, 1]).replace({"task": {"0": "alexnet/conv1", "1": "alexnet/conv2"}})
    some["calls"] = np.where(some["task"] == "alexnet/conv1", 3, 1)
    some.loc[some["strategy"] == "ours", "latency_s"] /= 2
    some.loc[some["strategy"] == "ours", "seconds"] /= 4
    table = tables.by_model(some, "autotvm").set_index(["source", "strategy"])
    ours = table.loc[[(tables.OURS, "ours")]].to_dict("records")[0]
    assert (ours["tasks"], ours["search_s"], ours["latency_ms"]) == (2, 5.0, 2.0)
    assert (ours["search_change"], ours["latency_change"], ours["hypervolume"]) == (-75.0, -50.0, 37.5)
    assert table.loc[("DATE 2021", "bao"), "latency_change"] == pytest.approx(-2.46, abs=0.01)
    assert table.loc[("ICCV 2021", "dgp"), "hypervolume"] == 4.5573
    assert set(table["model"]) == {"alexnet"}


def test_tables_are_files_that_say_of_which_hardware_they_are(tmp_path):
    some = runs(autotvm=[1, np.inf], ours=[1, 1]).replace({"task": {"0": "alexnet/conv1", "1": "alexnet/conv_2"}})
    made = tables.of(pd.concat([some, some.assign(runners=4)]), "autotvm")
    writing.write(made, tmp_path / "new")
    names = {
        f"{name}.{kind}" for name, kind in product(("summary", "tasks", "models", "runners"), ("csv", "md", "tex"))
    }
    assert {path.name for path in (tmp_path / "new").iterdir()} == names
    back = pd.read_csv(tmp_path / "new" / "summary.csv")
    pd.testing.assert_frame_equal(back, made["summary"], check_dtype=False)
    lines = (tmp_path / "new" / "models.md").read_text().splitlines()
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert lines[-1] == writing.NOTE
    assert "never" in (tmp_path / "new" / "summary.md").read_text()
    latex = (tmp_path / "new" / "tasks.tex").read_text()
    assert r"alexnet/conv\_2" in latex
    assert latex.count(r"\\") == 2 * 2 + 2 + 1


def test_random_search_scores_about_zero_and_knowing_the_best_scores_one(made):
    recorded = made.spaces[0]
    score, rng, takes_s = RandomSearch(recorded).score, np.random.default_rng(0), recorded.build_s + recorded.run_s
    scores = []
    for _ in range(300):
        order = rng.permutation(len(recorded.indices))
        found = np.minimum.accumulate(recorded.median_s[order])
        scores.append(score(np.cumsum(takes_s[order]), found))
    assert abs(np.mean(scores)) < 3 * np.std(scores) / 300**0.5
    assert score(np.array([0.0]), np.array([recorded.median_s.min()])) == 1.0
    assert score(np.array([0.0]), np.array([np.inf])) < 0


def test_figures_are_files_for_pages_and_papers(tmp_path):
    some = runs(autotvm=[1, 1], ours=[1, 1]).replace({"task": {"0": "alexnet/conv1", "1": "alexnet/conv2"}})
    some = some.assign(build_s=1.0, run_s=2.0, thinking_s=0.5, quality_1=0.5, quality_2=0.9, start_1=0.9, start_2=0.4)
    some.loc[some["strategy"] == "ours", ["seconds", "latency_s", "gflops"]] *= [0.5, 0.5, 2]
    shares = np.linspace(0.1, 1, 5)
    predicted = pd.DataFrame({"task": "a", "kind": "trees", "predicted": shares, "measured": shares[::-1]})
    files = study_figures.write(some, tables.by_model(some, "autotvm"), "autotvm", tmp_path, predicted)
    names = {"convergence", "starts", "predictions", "gflops", "sampled", "time", "hypervolume"}
    assert {path.stem for path in files} == names
    assert "rank correlation -1.00" in (tmp_path / "predictions.svg").read_text()
    assert {path.suffix for path in tmp_path.iterdir()} == {".svg", ".pdf"}
    assert all(path.read_bytes()[:5] in (b"%PDF-", b"<?xml") for path in files)
    live = some.drop(columns=["quality_1", "quality_2", "start_1", "start_2"])
    assert len(study_figures.write(live, tables.by_model(live, "autotvm"), "autotvm", tmp_path / "live")) == 8


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("failed", [("autotvm",), ("ours",), ("autotvm", "ours")], ids=["baseline", "other", "both"])
@pytest.mark.parametrize("tasks", [1, 3], ids=["of its only task", "of one task"])
def test_figures_of_searches_in_which_nothing_ran_are_drawn_without_a_warning(failed, tasks, tmp_path):
    some = runs(autotvm=[10] * tasks, ours=[5] * tasks).assign(build_s=1.0, run_s=1.0, thinking_s=0.0)
    nothing = some["strategy"].isin(failed) & (some["task"] == "0")
    some = some.assign(gflops=some["gflops"].mask(nothing, 0.0), latency_s=some["latency_s"].mask(nothing, math.inf))
    models = tables.by_model(some.assign(task="net/" + some["task"]), "autotvm")
    assert len(study_figures.write(some, models, "autotvm", tmp_path)) == 8
