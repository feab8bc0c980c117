"""The deep GP against GPyTorch's stock layers with the same parameters and the same hidden draws."""

from typing import Any

import gpytorch
import numpy as np
import pytest
import torch
from gpytorch.models.deep_gps import DeepGP as StockDeepGP
from gpytorch.models.deep_gps import DeepGPLayer
from gpytorch.variational import CholeskyVariationalDistribution, VariationalStrategy

from raydgp.errors import ModelError
from raydgp.surrogates.deepgp import DeepGP
from raydgp.surrogates.sparse_gp import SparseGPLayer, safe_cholesky


class StockLayer(DeepGPLayer):
    def __init__(self, layer: SparseGPLayer) -> None:
        outputs, m, inputs = layer.inducing.shape
        batch = torch.Size([outputs])
        q = CholeskyVariationalDistribution(m, batch_shape=batch)
        super().__init__(VariationalStrategy(self, layer.inducing.detach().clone(), q), inputs, outputs)
        q.variational_mean.data.copy_(layer.q_mean.detach())
        q.chol_variational_covar.data.copy_(layer.q_root.detach())
        self.variational_strategy.variational_params_initialized.fill_(1)
        self.mean_module, self.covar_module = layer.mean, layer.kernel

    def forward(self, x):
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


class Stock(StockDeepGP):
    def __init__(self, model: DeepGP) -> None:
        super().__init__()
        self.stock = torch.nn.ModuleList([StockLayer(layer) for layer in model.layers])
        self.likelihood = model.likelihood

    def forward(self, x):
        for layer in self.stock:
            x = layer(x)
        return gpytorch.distributions.MultivariateNormal(x.mean[..., 0], torch.diag_embed(x.variance[..., 0]))


def scrambled(inputs=5, hidden=(4, 3), inducing=16, validity=False, seed=0) -> DeepGP:
    """A float64 model with every parameter off its start."""
    generator = torch.Generator().manual_seed(seed)
    model = DeepGP(inputs, hidden, inducing, validity).double()
    with torch.no_grad():
        for name, p in model.named_parameters():
            size = 1.0 if name.endswith("inducing") else 0.3
            p.add_(size * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return model


def batch(n=40, inputs=5, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, inputs, generator=generator, dtype=torch.float64)
    return x, x.sin().sum(-1), generator


def elbo(model, x, y, valid, total, noise):
    """The evidence lower bound for each of `total` data points, as training raises it."""
    return model.data_term(model(x, noise), y, valid) - model.kl() / total


def stock_with(model, noise, monkeypatch) -> Stock:
    draws = [*noise]
    monkeypatch.setattr(torch.distributions.Normal, "rsample", lambda self, *a: self.loc + draws.pop(0) * self.scale)
    return Stock(model).double()


@pytest.mark.parametrize("samples", [1, 3])
def test_elbo_and_gradients_equal_stock_gpytorch(samples, monkeypatch):
    model = scrambled()
    x, y, generator = batch()
    noise = model.noise(samples, len(x), generator)
    ours = elbo(model, x, y, torch.ones(len(x), dtype=torch.bool), 100, noise)
    stock = stock_with(model, noise, monkeypatch)
    bound = gpytorch.mlls.DeepApproximateMLL(gpytorch.mlls.VariationalELBO(model.likelihood, stock, 100))
    with gpytorch.settings.num_likelihood_samples(samples):
        theirs = bound(stock(x), y)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-4)
    shared = [p for layer in model.layers for p in (*layer.mean.parameters(), *layer.kernel.parameters())]
    own = [p for layer in model.layers for p in (layer.inducing, layer.q_mean, layer.q_root)]
    strategies: list[Any] = [layer.variational_strategy for layer in stock.stock]
    distributions = [s._variational_distribution for s in strategies]
    twins = [
        p
        for s, d in zip(strategies, distributions, strict=True)
        for p in (s.inducing_points, d.variational_mean, d.chol_variational_covar)
    ]
    for a, b in zip(
        torch.autograd.grad(ours, [*shared, *own]), torch.autograd.grad(theirs, [*shared, *twins]), strict=True
    ):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_predictive_moments_equal_stock_gpytorch(monkeypatch):
    model = scrambled(seed=2).eval()
    x, _, _ = batch(23)
    mean, variance = model.predict(x, samples=4, seed=7)
    draws = model.noise(4, 1, torch.Generator().manual_seed(7))
    stock = stock_with(model, draws, monkeypatch).eval()
    with gpytorch.settings.num_likelihood_samples(4), torch.no_grad():
        f = stock(x)
    np.testing.assert_allclose(mean[:, 0], f.mean.mean(0), atol=1e-4)
    np.testing.assert_allclose(variance[:, 0], f.variance.mean(0) + f.mean.var(0, correction=0), atol=1e-4)


def test_marginals_equal_the_textbook_formulas():
    layer = scrambled(seed=3).layers[0]
    x = batch(9)[0]
    with torch.no_grad():
        mean, variance = layer(x)
        z = layer.inducing
        k_zz = layer.kernel(z).to_dense() + 1e-6 * torch.eye(z.shape[1], dtype=z.dtype)
        k_zx = layer.kernel(z, x.expand(z.shape[0], -1, -1)).to_dense()
        root = torch.linalg.cholesky(k_zz)
        a = torch.linalg.solve(root, k_zx)
        s = layer.q_root.tril() @ layer.q_root.tril().mT
        expected = layer.kernel.outputscale[:, None] + (a * ((s - torch.eye(len(s[0]), dtype=z.dtype)) @ a)).sum(1)
        centre = layer.mean(x.expand(z.shape[0], -1, -1)) + (a.mT @ layer.q_mean[..., None])[..., 0]
    torch.testing.assert_close(mean, centre.T, atol=1e-8, rtol=1e-6)
    torch.testing.assert_close(variance, expected.T, atol=1e-8, rtol=1e-6)


def test_own_gradients_are_the_finite_differences():
    model = scrambled(inputs=2, hidden=(2,), inducing=4, seed=4)
    x, y, generator = batch(5, 2)
    noise = model.noise(2, 5, generator)
    names = [name for name, _ in model.named_parameters()]

    def bound(*values):
        return torch.func.functional_call(
            _Elbo(model), {f"model.{k}": v for k, v in zip(names, values, strict=True)}, (x, y, noise)
        )

    assert torch.autograd.gradcheck(bound, tuple(p.detach().requires_grad_() for p in model.parameters()), atol=1e-4)


class _Elbo(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, y, noise):
        return elbo(self.model, x, y, torch.ones(len(x), dtype=torch.bool), 7, noise)


def test_kl_equals_torchs_between_normals():
    layer = scrambled(seed=5).layers[1]
    m = layer.q_mean.shape[1]
    q = torch.distributions.MultivariateNormal(layer.q_mean, layer.q_root.tril() @ layer.q_root.tril().mT)
    p = torch.distributions.MultivariateNormal(torch.zeros(m).double(), torch.eye(m).double())
    torch.testing.assert_close(layer.kl(), torch.distributions.kl_divergence(q, p).sum())


def test_prediction_of_a_row_does_not_depend_on_its_company():
    model = scrambled(seed=6)
    x = batch(50)[0]
    whole = model.predict(x, samples=3, seed=0)[0]
    np.testing.assert_allclose(model.predict(x[30:31], samples=3, seed=0)[0], whole[30:31])
    assert model.predict(x[:0], samples=3, seed=0)[0].shape == (0, 1)


def test_validity_output_learns_performance_from_what_ran_only():
    model = scrambled(validity=True)
    x, y, generator = batch(8)
    noise = model.noise(2, 8, generator)
    valid = torch.tensor([True, False] * 4)
    elsewhere = torch.where(valid, y, y + 100)
    assert elbo(model, x, y, valid, 8, noise).item() == elbo(model, x, elsewhere, valid, 8, noise).item()
    assert elbo(model, x, y, ~valid, 8, noise).item() != elbo(model, x, y, valid, 8, noise).item()
    assert model.predict(x, 2, 0)[0].shape == (8, 2)


def test_float32_survives_coinciding_inducing_inputs():
    model = DeepGP(3, (4, 5), 32)
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    noise = model.noise(2, 16, torch.Generator().manual_seed(0))
    bound = elbo(model, x, x[:, 0], torch.ones(16, dtype=torch.bool), 16, noise)  # all inducing inputs are zero
    bound.backward()
    assert torch.isfinite(bound)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_a_matrix_without_a_factor_is_refused_in_one_line():
    with pytest.raises(ModelError, match="learning rate"):
        safe_cholesky(torch.full((1, 3, 3), float("nan")))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_predicts_what_the_cpu_does():
    model = scrambled(seed=8)
    x = batch(30)[0]
    expected = model.predict(x, 3, 0)
    np.testing.assert_allclose(model.cuda().predict(x.cuda(), 3, 0), expected, atol=1e-6)
