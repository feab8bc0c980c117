from typing import Any

import numpy as np
import torch

from raydgp.surrogates.ranking import rank_correlation
from raydgp.surrogates.scorer import Shape
from raydgp.surrogates.training import Training, initialised, train


def line(n=120, seed=0):
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    return x, x[:, 0].sin() + 0.5 * x[:, 1], torch.ones(n, dtype=torch.bool)


def elbo(model, x, y, valid, noise):
    return (model.data_term(model(x, noise), y, valid) - model.kl() / len(x)).item()


def started(x, seed=0, **shape):
    return initialised(x, (3, 4), 24, shape.get("validity", False), seed)


def test_training_raises_the_bound_and_fits():
    x, y, valid = line()
    model = started(x)
    noise = model.noise(8, len(x), torch.Generator().manual_seed(0))
    before = elbo(model, x, y, valid, noise)
    result = train(model, x, y, valid, Training(epochs=120, rate=0.05), seed=0)
    assert elbo(model, x, y, valid, noise) > before + 0.3
    assert result.rmse < 0.5 * y.std().item()
    fresh, truth, _ = line(200, seed=1)
    assert rank_correlation(model.predict(fresh, 4, 0)[0][:, 0], truth.numpy()) > 0.9


def test_a_seed_fixes_the_model_and_leaves_the_global_stream_alone():
    x, y, valid = line()
    states: list[Any] = []
    for _ in range(2):
        torch.manual_seed(len(states))
        stream = torch.get_rng_state()
        model = started(x, seed=5)
        train(model, x, y, valid, Training(epochs=3, batch=32), seed=5)
        assert torch.equal(torch.get_rng_state(), stream)
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_rate_falls_when_the_error_does_not_and_training_ends():
    x, _, valid = line()
    noise = torch.randn(len(x), generator=torch.Generator().manual_seed(3))
    settings = Training(epochs=1000, rate=0.02, gain=0.5, patience=2, least_rate=0.004)
    result = train(started(x), x, noise, valid, settings, seed=0)
    assert result.epochs < 40
    assert result.rate < 0.004


def test_few_and_equal_rows_still_start_a_model():
    x = torch.ones(5, 3)
    model = started(x)
    train(model, x, torch.zeros(5), torch.ones(5, dtype=torch.bool), Training(epochs=2), seed=0)
    assert np.isfinite(model.predict(x, 2, 0)[0]).all()


def test_validity_is_learnt_as_an_output_of_its_own():
    x, y, _ = line(200)
    valid = x[:, 2] < 0.3
    model = initialised(x, (3, 4), 24, True, 0)
    train(model, x, torch.where(valid, y, -50.0), valid, Training(epochs=100, rate=0.05), seed=0)
    mean, _ = model.predict(x, 4, 0)
    assert ((mean[:, 1] > 0) == valid.numpy()).mean() > 0.85
    assert np.corrcoef(mean[valid.numpy(), 0], y[valid].numpy())[0, 1] > 0.85


def test_the_papers_settings_are_the_defaults():
    assert (Training().epochs, Training().batch, Training().rate) == (3000, 256, 0.04)
    assert (Shape().hidden, Shape().inducing) == ((10, 14), 128)
