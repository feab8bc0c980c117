"""Deep GP at the paper's size, 2 threads: optimiser steps a second, ours and GPyTorch's stock layers; scoring seconds.

python tests/benchmarks/deepgp.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import gpytorch
import torch
from gpytorch.models.deep_gps import DeepGP as StockDeepGP
from gpytorch.models.deep_gps import DeepGPLayer
from gpytorch.variational import CholeskyVariationalDistribution, VariationalStrategy
from linear_operator.operators import DiagLinearOperator

from raydgp.surrogates.deepgp import DeepGP

INPUTS, BATCH, INDUCING, SCORED = 20, 256, 128, 40_000


class StockLayer(DeepGPLayer):
    """As in GPyTorch's deep-GP example."""

    def __init__(self, inputs: int, outputs: int, linear: bool) -> None:
        batch = torch.Size([outputs])
        q = CholeskyVariationalDistribution(INDUCING, batch_shape=batch)
        super().__init__(VariationalStrategy(self, torch.randn(outputs, INDUCING, inputs), q), inputs, outputs)
        means = gpytorch.means
        self.mean_module = means.LinearMean(inputs) if linear else means.ConstantMean(batch_shape=batch)
        rbf = gpytorch.kernels.RBFKernel(ard_num_dims=inputs, batch_shape=batch)
        self.covar_module = gpytorch.kernels.ScaleKernel(rbf, batch_shape=batch)

    def forward(self, x: torch.Tensor) -> gpytorch.distributions.MultivariateNormal:
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))


class Stock(StockDeepGP):
    def __init__(self) -> None:
        super().__init__()
        self.stack = torch.nn.Sequential(
            StockLayer(INPUTS, 10, True), StockLayer(10, 14, True), StockLayer(14, 1, False)
        )
        self.likelihood = gpytorch.likelihoods.GaussianLikelihood()

    def forward(self, x: torch.Tensor) -> gpytorch.distributions.MultivariateNormal:
        f = self.stack(x)
        return gpytorch.distributions.MultivariateNormal(f.mean[..., 0], DiagLinearOperator(f.variance[..., 0]))


def steps_per_s(step: Callable[[], torch.Tensor], model: torch.nn.Module, seconds: float) -> float:
    """Optimiser steps a second of minimising `step`, after one for warming up."""
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    begin, steps = float("inf"), -1
    while steps < 3 or time.perf_counter() - begin < seconds:
        optimiser.zero_grad()
        step().backward()
        optimiser.step()
        steps += 1
        begin = time.perf_counter() if steps == 0 else begin
    return steps / (time.perf_counter() - begin)


def main() -> None:
    torch.set_num_threads(2)
    torch.manual_seed(0)
    x, y = torch.randn(BATCH, INPUTS), torch.randn(BATCH)
    valid, generator = torch.ones(BATCH, dtype=torch.bool), torch.Generator().manual_seed(0)
    ours, stock = DeepGP(INPUTS, inducing=INDUCING), Stock()
    with torch.no_grad():
        for layer in ours.layers:
            layer.inducing.normal_()
    bound = gpytorch.mlls.DeepApproximateMLL(gpytorch.mlls.VariationalELBO(stock.likelihood, stock, 10_000))
    for samples in (1, 10):
        fast = steps_per_s(
            lambda s=samples: (  # type: ignore[misc]
                ours.kl() / 10_000 - ours.data_term(ours(x, ours.noise(s, BATCH, generator)), y, valid)
            ),
            ours,
            4.0,
        )
        with gpytorch.settings.num_likelihood_samples(samples):
            slow = steps_per_s(lambda: -bound(stock(x), y), stock, 4.0)
        print(f"batch {BATCH}, {samples:2d} samples: {fast:6.2f} steps/s, stock {slow:5.2f}, ratio {fast / slow:.1f}")
    pool = torch.randn(SCORED, INPUTS)
    for samples in (1, 2, 4, 10):
        begin = time.perf_counter()
        ours.predict(pool, samples, seed=0)
        print(f"scoring {SCORED} configurations, {samples:2d} samples: {time.perf_counter() - begin:.2f} s")


if __name__ == "__main__":
    main()
