import copy

import numpy as np
import pytest
import torch

from raydgp.surrogates.ranking import rank_correlation
from raydgp.surrogates.training import initialised
from raydgp.surrogates.transfer import Transfer, kl_to, map_prior, tune


def small():
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    return initialised(x, (2,), 8, False, 0), x


def moved(model, seed=1):
    other = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in other.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator))
    return other


def test_form_a_is_kl_and_the_weighted_distance_of_all_parameters():
    source, _ = small()
    model = moved(source)
    flat = lambda m: torch.cat([p.flatten() for p in m.parameters()])  # noqa: E731
    expected = model.kl() / 50 + 3.0 / 100 * (flat(model) - flat(source)).square().sum()
    torch.testing.assert_close(map_prior(model, source, 3.0, 50)(), expected)


def test_form_b_is_the_kl_between_the_posteriors():
    start = small()[0].double()
    source, model = moved(start, 2), moved(start, 3)
    pairs = zip(model.layers, source.layers, strict=True)
    normals = [
        [torch.distributions.MultivariateNormal(layer.q_mean, scale_tril=_positive(layer.q_root)) for layer in pair]
        for pair in pairs
    ]
    expected = sum(torch.distributions.kl_divergence(q, p).sum() for q, p in normals) / 50
    torch.testing.assert_close(kl_to(model, source, 50)(), expected)
    assert kl_to(source, source, 50)().item() == pytest.approx(0, abs=1e-4)


def _positive(root):
    """The lower triangle with a positive diagonal, of the same product with its transpose."""
    lower = root.detach().tril()
    return torch.linalg.cholesky(lower @ lower.mT)


def test_a_strong_prior_holds_the_parameters(toy):
    source, x = small()
    y, valid = x[:, 0], torch.ones(len(x), dtype=torch.bool)

    def distance(strength):
        tuned = tune(source, x, y, valid, Transfer(strengths=(strength,), training=toy.training), seed=0).model
        return sum((p - o).square().sum().item() for p, o in zip(tuned.parameters(), source.parameters(), strict=True))

    assert distance(1e4) < 0.2 * distance(0.0)


@pytest.mark.parametrize("form", ["A", "B"])
def test_tuning_beats_the_source_on_a_shifted_task(pretrained, form, toy):
    """The target's peak lies elsewhere: 60 measurements move the model, and the source is left as it was."""
    source = pretrained.model
    features, gflops, valid = toy.measured(60, 7, shift=1.5)
    fresh, truth, _ = toy.measured(300, 8, shift=1.5)
    before = source.predict(fresh)
    tuned = source.tuned(
        features, gflops, valid, Transfer(form=form, training=toy.training, selection_epochs=20), seed=0
    )
    assert rank_correlation(tuned.predict(fresh), truth) > rank_correlation(before, truth) + 0.05
    np.testing.assert_array_equal(source.predict(fresh), before)
    assert (tuned.strength is None) == (form == "B")


def test_the_chosen_strength_is_the_one_that_ranks_best(pretrained, toy):
    features, gflops, valid = toy.measured(60, 7, shift=1.5)
    settings = Transfer(strengths=(1e6, 0.1), training=toy.training, selection_epochs=30)
    tuned = pretrained.model.tuned(features, gflops, valid, settings, seed=0)
    assert tuned.strength == 0.1  # with 1e6 the model stays where it was, and the peak lies elsewhere


def test_tuning_is_a_function_of_data_and_seed(pretrained, toy):
    features, gflops, valid = toy.measured(30, 7)
    settings = Transfer(strengths=(0.1, 1.0), training=toy.training, selection_epochs=3)
    one, two = (pretrained.model.tuned(features, gflops, valid, settings, seed=4).predict(features) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_rank_correlation_of_constants_is_zero():
    assert rank_correlation([1, 1, 1], [1, 2, 3]) == 0
    assert rank_correlation([1, 2, 3], [10, 20, 30]) == pytest.approx(1)
