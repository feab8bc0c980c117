"""dgp and dgp+ with artefacts; tests/contract has them without one."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from raydgp import Conv2d, config_space, search
from raydgp.errors import InputError, ModelError
from raydgp.search.acquisition import batch, expected_improvement
from raydgp.search.outcome import Outcome
from raydgp.surrogates import artefact
from raydgp.surrogates.deepgp_kind import DeepGPKind
from raydgp.surrogates.history import History, Measured
from raydgp.surrogates.kinds import PretrainSettings
from raydgp.surrogates.pretrain import pretrain
from raydgp.surrogates.residual import Points, ResidualGP
from raydgp.surrogates.scorer import Shape
from raydgp.surrogates.trees import TreesKind

FAST = {"preset": "small", "epochs": 20, "selection_epochs": 5, "pool": 2000, "explored": 1000, "chains": 32}
NAMES = ["dgp", "dgp+"]


def layer(channels: int, size: int) -> Conv2d:
    return Conv2d(n=1, ci=channels, h=size, w=size, co=channels, kh=3, kw=3, padding=(1, 1))


SOURCES = [layer(64, 28), layer(128, 14), layer(32, 28)]
TARGET = config_space(layer(64, 14), "cuda")


def gflops(space, indices):
    """One optimum for all layers, on what a GPU likes: threads, work for each, and reuse of the shared memory."""
    c = space.columns(indices)
    threads = c["tile_f"][:, 2] * c["tile_y"][:, 2] * c["tile_x"][:, 2]
    work = c["tile_f"][:, 1:].prod(1) * c["tile_y"][:, 1:].prod(1) * c["tile_x"][:, 1:].prod(1) / threads
    depth = c["tile_rc"][:, 1]
    off = (np.log2(threads) - 7) ** 2 + (np.log2(work) - 4) ** 2 + 0.5 * (np.log2(depth) - 3) ** 2
    off += (np.log2(c["tile_f"][:, 3]) - 2) ** 2 + (np.log2(c["tile_f"][:, 2]) - 4) ** 2
    return space.workload.flops / 1e6 * np.exp(-0.06 * off)


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory) -> Path:
    """A folder of artefacts: one of the right group, one of another."""
    root = tmp_path_factory.mktemp("artefacts")
    rng = np.random.default_rng(0)
    spaces = [config_space(workload, "cuda") for workload in SOURCES]
    rows = [space.sample_valid(150, rng) for space in spaces]
    history = History(
        spaces[0].feature_names,
        np.concatenate([s.features(i) for s, i in zip(spaces, rows, strict=True)]),
        np.concatenate([gflops(s, i) for s, i in zip(spaces, rows, strict=True)]),
        np.ones(450, bool),
        np.repeat(np.arange(3), 150),
    )
    kind = DeepGPKind(Shape(hidden=(4, 4), inducing=48))
    made = pretrain(kind, history, PretrainSettings(epochs=60), evaluate=False)
    for name, group in (("right", TARGET.workload.group), ("other", "dense")):
        card = artefact.Card(
            group=group,
            target="cuda",
            template=TARGET.template,
            records=450,
            workloads=[workload.to_dict() for workload in SOURCES],
        )
        artefact.save(root / name, kind, made.model, card)
    return root


@pytest.fixture(scope="module")
def with_trees(tmp_path_factory) -> Path:
    """Trees of the same history, and of one that has the target."""
    root = tmp_path_factory.mktemp("trees")
    for name, workloads in (("others", SOURCES), ("all", [*SOURCES, TARGET.workload])):
        rng, spaces = np.random.default_rng(0), [config_space(workload, "cuda") for workload in workloads]
        rows = [space.sample_valid(300, rng) for space in spaces]
        tasks = [Measured(s, i, gflops(s, i), np.ones(len(i), bool)) for s, i in zip(spaces, rows, strict=True)]
        grown = pretrain(TreesKind(), History.of(tasks, context=True))
        artefact.save(root / name, TreesKind(), grown.model, artefact.Card.of(TreesKind(), spaces, grown, ["x"]))
    return root


def make(name, path, seed=0, **options):
    fast = {key: value for key, value in FAST.items() if key == "preset" or key in search.describe(name)}
    return search.create(name, TARGET, seed, artefact=path, **fast | options)


def cold(name):
    return search.create(name, TARGET)


def drive(strategy, trials, batch=8):
    loop = search.Search(strategy, trials, batch)
    asked = []
    while len(picks := loop.ask()):
        asked.append(picks.tolist())
        loop.tell([Outcome.of(*row) for row in zip(picks.tolist(), gflops(TARGET, picks), strict=True)])
    assert loop.best
    return loop.best[1], asked


class TestWithTrees:
    def test_takes_those_with_most_records(self, with_trees):
        assert str(with_trees / "all") in make("dgp+", with_trees).start

    def test_starts_among_the_best_and_beats_random_search(self, with_trees):
        first = make("dgp+", with_trees / "others").ask(16)
        anything = TARGET.sample_valid(2000, np.random.default_rng(0))
        assert np.median(gflops(TARGET, first)) > np.quantile(gflops(TARGET, anything), 0.97)
        informed = drive(make("dgp+", with_trees / "others"), 40)[0]
        assert informed > np.median([drive(search.create("random", TARGET, seed), 320)[0] for seed in range(3)])

    def test_ranks_a_layer_that_it_never_saw(self, with_trees):
        card = artefact.read_card(with_trees / "others")
        assert (card.kind, card.group, card.held_out["by"]) == ("trees", "", "task")
        assert card.held_out["spearman"] > 0.7

    def test_damaged_trees_are_refused(self, with_trees, tmp_path):
        copied = shutil.copytree(with_trees / "others", tmp_path / "trees")
        (copied / TreesKind.file).write_bytes((copied / TreesKind.file).read_bytes()[:-100])
        with pytest.raises(ModelError, match="not the file its card was written for"):
            make("dgp+", tmp_path).ask(4)
        card = json.loads((copied / "card.json").read_text())
        card["sha256"] = hashlib.sha256((copied / TreesKind.file).read_bytes()).hexdigest()
        (copied / "card.json").write_text(json.dumps(card))
        with pytest.raises(ModelError, match="does not load"):
            make("dgp+", tmp_path).ask(4)


@pytest.mark.parametrize("name", NAMES)
class TestWithAnArtefact:
    def test_finds_the_right_one_by_itself(self, name, artefacts):
        assert make(name, artefacts).source == artefacts / "right"
        assert make(name, artefacts / "right").source == artefacts / "right"

    def test_starts_cold_without_a_fitting_one(self, name, artefacts, tmp_path):
        assert make(name, tmp_path).source is None
        assert len(make(name, tmp_path).ask(4)) == 4

    def test_what_it_measures_first_is_far_better_than_random(self, name, artefacts):
        first = np.concatenate([make(name, artefacts, seed).ask(16) for seed in range(2)])
        anything = TARGET.sample_valid(2000, np.random.default_rng(0))
        assert np.median(gflops(TARGET, first)) > np.quantile(gflops(TARGET, anything), 0.95)

    def test_needs_a_fraction_of_random_searchs_measurements(self, name, artefacts):
        informed = np.median([drive(make(name, artefacts, seed), 40)[0] for seed in range(3)])
        random = np.median([drive(search.create("random", TARGET, seed), 80)[0] for seed in range(3)])
        assert informed > random

    def test_a_restored_search_goes_on_as_the_saved_one(self, name, artefacts):
        saved = make(name, artefacts)
        drive(saved, 40)
        twin = make(name, artefacts, seed=9)
        twin.restore(json.loads(json.dumps(saved.state())))
        assert drive(saved, 16)[1] == drive(twin, 16)[1]

    def test_a_damaged_artefact_is_refused(self, name, artefacts, tmp_path):
        (tmp_path / "card.json").write_text("{")
        with pytest.raises(ModelError, match="damaged"):
            make(name, tmp_path).ask(4)


def test_the_papers_settings_are_the_defaults():
    strategy = cold("dgp").options
    assert (strategy.pool, strategy.tuning_set, strategy.final) == (40_000, 300, 100)
    assert (strategy.early_stop, strategy.explored) == (600, 40_000)
    assert (strategy.epochs, strategy.rate, strategy.batch) == (2000, 0.04, 256)


def test_the_tuning_set_is_the_best_of_the_pool_by_the_pretrained_model(artefacts):
    strategy = make("dgp", artefacts, tuning_set=20)
    picks = np.concatenate([strategy.ask(10), strategy.ask(10)])
    scores = strategy.model.predict(TARGET.features(picks))
    pool = TARGET.sample_valid(2000, np.random.default_rng(0))  # what strategy drew
    best = np.sort(strategy.model.predict(TARGET.features(pool)))[-20:]
    np.testing.assert_allclose(np.sort(scores), best, rtol=1e-5)
    assert (np.diff(scores) <= 1e-6).all()


def test_the_strength_chosen_is_kept(artefacts):
    strategy = make("dgp", artefacts, strengths=(0.5, 2.0), tuning_set=24)
    drive(strategy, 40)
    assert strategy.strength in (0.5, 2.0)


@pytest.mark.parametrize("options", [{"form": "C"}, {"strengths": [-1.0]}, {"tuning_set": 0}, {"rounds": 3}], ids=str)
def test_wrong_options_are_refused(options):
    with pytest.raises(InputError):
        search.create("dgp", TARGET, **options)


def test_dgp_plus_ends_when_no_improvement_is_expected(artefacts):
    strategy = make("dgp+", artefacts, tolerance=0.5, patience=2)
    _, asked = drive(strategy, 400)
    assert 2 * 8 <= sum(map(len, asked)) < 60


def test_dgp_plus_predicts_its_shortlist_once(with_trees, monkeypatch):
    strategy = make("dgp+", with_trees / "others")
    strategy.ask(8)
    counts, predict = [], strategy.predicted
    monkeypatch.setattr(strategy, "predicted", lambda indices: counts.append(len(indices)) or predict(indices))
    mixed = np.concatenate([TARGET.sample_valid(20, np.random.default_rng(5)), strategy.shortlisted[[7, 3]]])
    points, runs = strategy.looked_up(mixed)
    assert sum(counts) <= 20
    expected, expected_runs = predict(mixed)
    np.testing.assert_allclose(points.x, expected.x)
    np.testing.assert_allclose(points.mean, expected.mean, rtol=1e-6)
    np.testing.assert_allclose(runs, expected_runs)


def test_dgp_plus_learns_to_avoid_what_fails():
    strategy = search.create("dgp+", TARGET, preset="small")
    failing = lambda picks: TARGET.columns(picks)["unroll_explicit"][:, 0] == 1  # noqa: E731
    for _ in range(8):
        picks = strategy.ask(8)
        strategy.tell(picks, np.where(failing(picks), 0, gflops(TARGET, picks)), ~failing(picks))
    later = np.concatenate([strategy.ask(8) for _ in range(2)])
    assert failing(later).mean() < 0.2


def test_expected_improvement_equals_its_integral():
    rng = np.random.default_rng(0)
    mean, variance = np.array([0.5, 1.0, 1.4]), np.array([0.04, 0.25, 0.01])
    draws = mean + np.sqrt(variance) * rng.standard_normal((400_000, 3))
    np.testing.assert_allclose(expected_improvement(mean, variance, 1.0), np.maximum(draws - 1, 0).mean(0), atol=2e-3)


def points(n, seed):
    rng = np.random.default_rng(seed)
    return Points(rng.standard_normal((n, 3)), rng.random(n))


def test_a_batch_is_spread_out():
    x = np.repeat(np.linspace(0, 5, 6)[:, None], 5, axis=0) + 1e-3 * np.tile(np.arange(5), 6)[:, None]
    candidates = Points(x, np.zeros(30))
    rows, first = batch(ResidualGP(candidates.rows(slice(0)), np.zeros(0)), candidates, np.ones(30), None, 6)
    assert len(set(np.round(x[rows, 0]))) == 6
    assert first > 0


def test_to_suppose_the_predicted_keeps_the_mean_and_shrinks_the_variance_as_data_would():
    told, out, new = points(30, 0), points(5, 3), points(7, 1)
    model = ResidualGP(told, np.random.default_rng(2).random(30))
    supposed = model.supposing(out)
    (mean, explained), (after, shrunk) = model.posterior(new), supposed.posterior(new)
    np.testing.assert_allclose(after, mean, atol=1e-8)
    both = Points(*(np.concatenate(pair) for pair in zip(out, new, strict=True)))
    _, factor = model.posterior(both)
    covariance = np.stack([model.covariance(both, factor, at) for at in range(12)])
    gain = np.linalg.solve(covariance[:5, :5] + model.choice[2] ** 2 * np.eye(5), covariance[:5, 5:])
    left = covariance[5:, 5:].diagonal() - (gain * covariance[:5, 5:]).sum(axis=0)
    np.testing.assert_allclose(supposed.variance(new, shrunk), left, atol=1e-8)
    assert (left < model.variance(new, explained)).all()


def test_the_residual_gp_equals_the_textbook_posterior():
    told, new = points(30, 0), points(7, 1)
    y = np.random.default_rng(2).random(30)
    model = ResidualGP(told, y)
    length, of_r, noise = model.choice
    both = Points(*(np.concatenate(pair) for pair in zip(told, new, strict=True)))
    squares = ((both.x[:, None] - both.x) ** 2).sum(-1)
    prior = of_r**2 * np.exp(-0.5 * squares / (3 * length**2)) + 0.09 + 0.25 * np.outer(both.mean, both.mean)
    gain = np.linalg.solve(prior[:30, :30] + noise**2 * np.eye(30), prior[:30, 30:]).T
    mean, explained = model.posterior(new)
    np.testing.assert_allclose(mean, new.mean + gain @ (y - told.mean), atol=1e-8)
    covariance = prior[30:, 30:] - gain @ prior[:30, 30:]
    np.testing.assert_allclose(model.variance(new, explained), covariance.diagonal(), atol=1e-8)
    np.testing.assert_allclose(model.covariance(new, explained, 2), covariance[2], atol=1e-8)
