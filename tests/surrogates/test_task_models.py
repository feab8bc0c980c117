"""The models that a search fits to nothing but its own outcomes."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal, spearmanr

from raydgp.surrogates import task_trees
from raydgp.surrogates.task_gp import TaskGP, normal_scores


def rows(n, seed=0):
    """Three features, of which the last says nothing."""
    x = np.random.default_rng(seed).standard_normal((n, 3))
    return x, normal_scores(-((x[:, 0] - 0.5) ** 2) + 0.5 * np.sin(2 * x[:, 1]))


def test_normal_scores_keep_the_order_and_ties():
    scores = normal_scores(np.array([0.0, 5.0, 0.0, 1e9, 6.0]))
    assert scores[0] == scores[2] == scores.min()
    assert (np.argsort(scores[[1, 4, 3]]) == [0, 1, 2]).all()
    assert abs(scores.mean()) < 0.1


def test_the_task_gp_equals_the_textbook_posterior():
    (x, y), (new, _) = rows(40), rows(7, 1)
    model = TaskGP(x, y)
    noisy = model.covariance(x, x) + (model.noise + 1e-8) * np.eye(40)
    gain = np.linalg.solve(noisy, model.covariance(x, new)).T
    mean, variance, _ = model.posterior(new)
    np.testing.assert_allclose(mean, gain @ y, atol=1e-7)
    expected = model.covariance(new, new) - gain @ model.covariance(x, new)
    np.testing.assert_allclose(variance, expected.diagonal(), atol=1e-7)


def test_its_parameters_are_at_an_optimum_of_likelihood_and_prior():
    x, y = rows(60)
    logs = TaskGP(x, y).logs
    lengths = np.full(3, 0.5 * np.log(3))
    centre = np.array([*lengths, *(lengths + 1), 0.0, np.log(0.1)])

    def log_posterior(logs):
        smooth, odd, (of_r, noise) = np.exp(logs[:3]), np.exp(logs[3:6]), np.exp(logs[6:])
        apart = x[:, None] - x
        distance = np.sqrt(5 * (np.square(apart / smooth) + (apart != 0) / odd**2).sum(-1))
        matern = (1 + distance + distance**2 / 3) * np.exp(-distance)
        covariance = of_r**2 * matern + (noise**2 + 1e-8) * np.eye(60)
        return multivariate_normal(np.zeros(60), covariance).logpdf(y) - 0.5 * np.square(logs - centre).sum()

    assert (
        np.abs(approx_fprime(logs, log_posterior, 1e-6)).max()
        < 0.1 * np.abs(approx_fprime(centre, log_posterior, 1e-6)).max()
    )
    assert logs[2] > logs[:2].max() + 0.5  # what says nothing has the longest lengthscale


def test_a_fit_goes_on_from_an_earlier_one():
    """In few steps: from the optimum it stays there, from far away it does not arrive."""
    x, y = rows(60)
    first = TaskGP(x, y).logs
    np.testing.assert_allclose(TaskGP(x, y, first).logs, first, atol=1e-3)
    assert np.abs(TaskGP(x, y, np.array([*[-3.0] * 6, 3.0, 0.0])).logs - first).max() > 0.1


@pytest.mark.parametrize("model", ["process", "trees"])
def test_they_rank_what_they_have_not_seen(model):
    (x, y), (new, truth) = rows(80), rows(200, 1)
    predicted = TaskGP(x, y).posterior(new)[0] if model == "process" else task_trees.predictions(x, y, new, 0)
    assert spearmanr(predicted, truth).statistic > 0.85


def test_odd_options_are_seen_where_their_order_says_nothing():
    rng = np.random.default_rng(0)
    worth = rng.standard_normal(12)
    x = rng.integers(12, size=(90, 3)).astype(float)
    new = rng.integers(12, size=(300, 3)).astype(float)
    predicted = TaskGP(x, normal_scores(worth[x[:, 0].astype(int)] + 0.1 * x[:, 1])).posterior(new)[0]
    assert spearmanr(predicted, worth[new[:, 0].astype(int)] + 0.1 * new[:, 1]).statistic > 0.9


def test_one_measurement_is_enough_to_fit():
    mean, variance, _ = TaskGP(np.zeros((1, 2)), np.zeros(1)).posterior(np.ones((3, 2)))
    assert np.isfinite(mean).all()
    assert (variance > 0).all()


def test_to_suppose_the_predicted_keeps_the_mean_and_shrinks_the_variance() -> None:
    rng = np.random.default_rng(0)
    x, out, new = rng.random((20, 2)), rng.random((4, 2)), rng.random((9, 2))
    model = TaskGP(x, normal_scores(np.sin(4 * x[:, 0]) + x[:, 1]))
    mean, variance, _ = model.posterior(new)
    after, shrunk, _ = model.supposing(out).posterior(new)
    np.testing.assert_allclose(after, mean, atol=1e-6)
    assert (shrunk <= variance + 1e-9).all()
    assert model.supposing(out).posterior(out)[1] == pytest.approx(0, abs=model.noise)
