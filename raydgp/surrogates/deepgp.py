"""The deep Gaussian process of the deep-GP transfer paper (ICCV 2021): D -> 10 -> 14 -> 1, doubly stochastic."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import gpytorch
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from raydgp.surrogates.sparse_gp import Factors, SparseGPLayer

_PREDICT_ROWS = 1024  # rows (samples included) that pass through the layers at a time: they stay in the cache


class DeepGP(nn.Module):
    """Hidden layers of sparse GPs with linear means, then performance and, on demand, validity.

    Bound and prediction are those of Salimbeni and Deisenroth (NeurIPS 2017), written out in
    docs/facts.md, Deep Gaussian processes.

    Args:
        inputs: features of a configuration.
        hidden: GPs in each hidden layer.
        inducing: inducing inputs of each GP.
        validity: a second output, the probit of the probability that a configuration runs; performance then is
            learnt from the configurations that ran only.
    """

    def __init__(
        self, inputs: int, hidden: Sequence[int] = (10, 14), inducing: int = 128, validity: bool = False
    ) -> None:
        super().__init__()
        self.shape = {"inputs": inputs, "hidden": list(hidden), "inducing": inducing, "validity": validity}
        self.validity = validity
        widths = [inputs, *hidden]
        layers = [SparseGPLayer(a, b, inducing, linear_mean=True) for a, b in itertools.pairwise(widths)]
        layers.append(SparseGPLayer(widths[-1], 1 + validity, inducing, linear_mean=False))
        self.layers: Sequence[SparseGPLayer] = nn.ModuleList(layers)  # type: ignore[assignment]
        self.likelihood = gpytorch.likelihoods.GaussianLikelihood()
        self.probit = gpytorch.likelihoods.BernoulliLikelihood()

    def noise(self, samples: int, n: int, generator: torch.Generator) -> list[Tensor]:
        """Standard normal draws for each hidden layer: [samples, n, width]. Drawn on the CPU, for all devices alike."""
        like = self.layers[0].inducing
        widths = [layer.q_mean.shape[0] for layer in self.layers][:-1]
        return [torch.randn(samples, n, w, generator=generator, dtype=like.dtype).to(like.device) for w in widths]

    def forward(self, x: Tensor, noise: list[Tensor], factors: list[Factors] | None = None) -> tuple[Tensor, Tensor]:
        """Marginals of q(f(x)) given hidden samples: [n, inputs] -> means and variances [samples, n, outputs]."""
        samples, n = noise[0].shape[:2]
        shared = factors or [layer.factor() for layer in self.layers]
        mean, variance = self.layers[0](x, shared[0])  # the same for all samples
        h = mean + noise[0] * variance.sqrt()
        for layer, eps, factor in zip(self.layers[1:-1], noise[1:], shared[1:-1], strict=True):
            mean, variance = layer(h.flatten(0, 1), factor)
            h = (mean + eps.flatten(0, 1) * variance.sqrt()).unflatten(0, (samples, n))
        mean, variance = self.layers[-1](h.flatten(0, 1), shared[-1])
        return mean.unflatten(0, (samples, n)), variance.unflatten(0, (samples, n))

    def data_term(self, f: tuple[Tensor, Tensor], y: Tensor, valid: Tensor) -> Tensor:
        """E_q[log p(y_i | f_i)] averaged over samples and batch: a scalar.

        Args:
            f: of `forward`.
            y: [n], standardised labels.
            valid: bool[n].
        """
        mean, variance = f
        s2 = self.likelihood.noise
        fit = -0.5 * (torch.log(2 * math.pi * s2) + ((y - mean[..., 0]).square() + variance[..., 0]) / s2)
        if not self.validity:
            return fit.mean()
        q = gpytorch.distributions.base_distributions.Normal(mean[..., 1], variance[..., 1].sqrt())
        return (fit * valid + self.probit.expected_log_prob(valid.to(y.dtype).expand_as(mean[..., 1]), q)).mean()

    def kl(self) -> Tensor:
        """Sum over all GPs of KL(q(u) || p(u)): a scalar."""
        return torch.stack([layer.kl() for layer in self.layers]).sum()

    @torch.no_grad()
    def factors(self) -> list[Factors]:
        """The factors of all layers, for many predictions with the same parameters."""
        return [layer.factor() for layer in self.layers]

    @torch.no_grad()
    def predict(
        self, x: Tensor, samples: int, seed: int, factors: list[Factors] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Moments of f(x), observation noise excluded: [n, inputs] -> mean and variance, float64[n, outputs].

        Every row sees the same hidden draws, so that the ranking of rows does not depend on their order or company.
        """
        rows = max(1, _PREDICT_ROWS // samples)
        draws = self.noise(samples, 1, torch.Generator().manual_seed(seed))
        shared = factors or self.factors()
        parts = []
        for part in x.split(rows):
            mean, variance = self(part, [d.expand(-1, len(part), -1) for d in draws], shared)
            parts.append(torch.stack([mean.mean(0), variance.mean(0) + (mean - mean.mean(0)).square().mean(0)]))
        mean, variance = torch.cat(parts, 1).double().cpu().numpy()
        return mean, variance
